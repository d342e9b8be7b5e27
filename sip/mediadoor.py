"""Who may send us sound: a filter on the RTP and RTCP sockets of a call, asked by the kernel before PJSIP.

PJSIP sends where it hears from: when the true peer is silent, about ten packets from anybody turn our audio to them
(RTP Bleed, EnableSecurity ES2017-04). A port may change on the way, behind NAT; an address seldom does. So packets are
let in from the address that the answer named, from the one that answered, and from networks that the operator names.

Classic BPF (Linux socket filters) needs no privilege. Where it cannot be had, `admit` says why, and all are let in.
"""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Network, ip_network

from sip.doorkeeper import attach, bound_to, program


def networks(places: Iterable[str]) -> tuple[IPv4Network, ...]:
    """Of "address", "address:port" and CIDR; names and what is no address are left out, and so is 0.0.0.0."""
    found = []
    for place in places:
        try:
            network = ip_network(place.partition(":")[0])
        except ValueError:
            continue
        if isinstance(network, IPv4Network) and int(network.network_address):
            found.append(network)
    return tuple(dict.fromkeys(found))


def admit(port: int, known: Iterable[IPv4Network]) -> str:
    """From now on, at the RTP socket on `port` and the RTCP socket above it. Why not, in words; empty: it is so."""
    code = program(known, datagrams=False)
    for at in (port, port + 1):
        door = bound_to(at, socket.SOCK_DGRAM)
        if door is None:
            return "its sockets were not found"
        why_not = attach(door, code)
        if why_not:
            return why_not
    return ""
