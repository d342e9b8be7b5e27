"""Who may send us sound: a filter on the RTP and RTCP sockets of a call, asked by the kernel before PJSIP.

PJSIP sends where it hears from: when the true peer is silent, about ten packets from anybody turn our audio to them
(RTP Bleed, EnableSecurity ES2017-04). A port may change on the way, behind NAT; an address seldom does. So packets are
let in from the address that the answer named, from the one that answered, and from networks that the operator names.

Classic BPF (Linux socket filters) needs no privilege. Where it cannot be had, `admit` says why, and all are let in.
"""

import ctypes
import os
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Network, ip_network
from pathlib import Path

_SO_ATTACH_FILTER = 26  # Linux, asm-generic/socket.h; the socket module has no name for it
_LOAD, _AND, _JUMP_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_SOURCE = 0xFFF00000 + 12  # SKF_NET_OFF and where IPv4 has its source address
_ALL, _NOTHING = 0xFFFFFFFF, 0


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


def program(known: Iterable[IPv4Network]) -> bytes:
    """Packets from these, and no others."""
    steps = []
    for network in known:
        steps += [
            (_LOAD, 0, 0, _SOURCE),
            (_AND, 0, 0, int(network.netmask)),
            (_JUMP_EQUAL, 0, 1, int(network.network_address)),
            (_RETURN, 0, 0, _ALL),
        ]
    steps.append((_RETURN, 0, 0, _NOTHING))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def admit(port: int, known: Iterable[IPv4Network]) -> str:
    """From now on, at the RTP socket on `port` and the RTCP socket above it. Why not, in words; empty: it is so."""
    code = program(known)
    room = ctypes.create_string_buffer(code, len(code))
    rules = struct.pack("HP", len(code) // 8, ctypes.addressof(room))
    doors = _bound_to({port, port + 1})
    try:
        for door in doors:
            door.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, rules)
    except OSError as error:
        return error.strerror or type(error).__name__
    finally:
        for door in doors:
            door.close()
    return "" if doors else "its sockets were not found"


def _bound_to(ports: set[int]) -> list[socket.socket]:
    """Second handles on the library's own sockets, which it does not give away."""
    found = []
    for fd in map(int, os.listdir("/proc/self/fd") if Path("/proc/self/fd").is_dir() else ()):
        try:
            one = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        if one.family == socket.AF_INET and one.type == socket.SOCK_DGRAM and one.getsockname()[1] in ports:
            found.append(one)
        else:
            one.close()
    return found
