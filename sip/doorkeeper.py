"""Strangers stay outside: a filter on our SIP socket, asked by the kernel before PJSIP sees a byte.

PJSIP makes sockets for the media of each INVITE before anybody is asked; some sixty a second use up its table, and an
assertion then ends the process with the calls in it. It answers MESSAGE with 200, whatever we want, and each message
that it has to read is a chance to hurt it. So requests that begin something are let in only from those we know: the
addresses of the trunk, its networks for inbound calls, and wherever a request of ours went before. Answers, and what
belongs to a call that is up, may come from everywhere: a carrier has more machines than it names.

Classic BPF (Linux socket filters) needs no privilege. Where it cannot be had, `stand` says why, and all are let in.
"""

import ctypes
import os
import socket
import struct
from collections import OrderedDict
from collections.abc import Iterable
from ipaddress import IPv4Network, ip_network
from pathlib import Path

LEARNT_MOST = 64  # addresses that requests of ours went to; the longest unused goes first
_SO_ATTACH_FILTER = 26  # Linux, asm-generic/socket.h; the socket module has no name for it
_LOAD, _AND, _JUMP_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_SOURCE = 0xFFF00000 + 12  # SKF_NET_OFF and where IPv4 has its source address
_FIRST_WORD = 8  # of a datagram, behind the UDP header
_ALL, _NOTHING = 0xFFFFFFFF, 0
# The first four letters of what anybody may send. No INVITE, SUBSCRIBE, NOTIFY, MESSAGE, REFER, PUBLISH or REGISTER.
OPEN_TO_ALL = (b"SIP/", b"ACK ", b"BYE ", b"CANC", b"INFO", b"OPTI", b"PRAC", b"UPDA")


def program(known: Iterable[IPv4Network], *, datagrams: bool) -> bytes:
    """The filter. Connections (TCP, TLS) have no first word yet when they begin: only the known may open one."""
    steps: list[tuple[int, int, int, int]] = []
    for network in known:
        steps += [
            (_LOAD, 0, 0, _SOURCE),
            (_AND, 0, 0, int(network.netmask)),
            (_JUMP_EQUAL, 0, 1, int(network.network_address)),
            (_RETURN, 0, 0, _ALL),
        ]
    if datagrams:
        steps.append((_LOAD, 0, 0, _FIRST_WORD))
        for first in OPEN_TO_ALL:
            steps += [(_JUMP_EQUAL, 0, 1, int.from_bytes(first, "big")), (_RETURN, 0, 0, _ALL)]
    steps.append((_RETURN, 0, 0, _NOTHING))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


class Doorkeeper:
    """For the socket of this process that is bound to `port`. `always`: networks (CIDR) and addresses."""

    def __init__(self, port: int, always: Iterable[str], *, datagrams: bool) -> None:
        self._port, self._datagrams = port, datagrams
        self._always = tuple(network for text in always if (network := _network(text)) is not None)
        self._learnt: OrderedDict[IPv4Network, None] = OrderedDict()

    def stand(self) -> str:
        """From now on. Why not, in words; empty when it does."""
        door = bound_to(self._port, socket.SOCK_DGRAM if self._datagrams else socket.SOCK_STREAM)
        if door is None:
            return "its socket was not found"
        return attach(door, program([*self._always, *self._learnt], datagrams=self._datagrams))

    def learn(self, peer: str) -> None:
        """A request of ours went to this "host:port": what it asks us is heard."""
        network = _network(peer.rpartition(":")[0])
        if network is None or any(network.subnet_of(known) for known in self._always):
            return
        is_new = network not in self._learnt
        self._learnt[network] = None
        self._learnt.move_to_end(network)
        if is_new:
            while len(self._learnt) > LEARNT_MOST:
                self._learnt.popitem(last=False)
            self.stand()


def attach(door: socket.socket, code: bytes) -> str:
    """From now on the kernel asks `code` about each packet; closes this handle. Why not, in words, if so."""
    room = ctypes.create_string_buffer(code, len(code))
    try:
        with door:
            rules = struct.pack("HP", len(code) // 8, ctypes.addressof(room))
            door.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, rules)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _network(text: str) -> IPv4Network | None:
    """None: a name, or IPv6, which our sockets do not speak."""
    try:
        network = ip_network(text)
    except ValueError:
        return None
    return network if isinstance(network, IPv4Network) else None


def bound_to(port: int, kind: int) -> socket.socket | None:
    """A second handle on the library's own socket, which it does not give away."""
    for fd in map(int, os.listdir("/proc/self/fd") if Path("/proc/self/fd").is_dir() else ()):
        found = _socket_at(fd)
        if found is None:
            continue
        is_ours = found.family == socket.AF_INET and found.type == kind and found.getsockname()[1] == port
        if is_ours and not _is_connected(found):
            return found
        found.close()
    return None


def _socket_at(fd: int) -> socket.socket | None:
    """A handle of our own on the same socket; None for a file or a pipe."""
    try:
        copy = os.dup(fd)
    except OSError:  # closed since it was listed
        return None
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)  # or each look would double what is open
        return None


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True
