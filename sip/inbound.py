"""A call comes in: may it ring, and whose is it? Pure.

The packet filter (sip/doorkeeper.py) has kept most strangers out before; it cannot read, and on some machines it cannot
be had. So the decision is made again here, from where the packet came: what stands in a SIP message, anybody can write.
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from sip.messages import header_of

CALLS_PER_S = 10.0  # the library's sockets for media are freed late: some sixty calls a second use up its table
USER_MAX = 64  # characters of a number that are passed on
_STRANGER, _TOO_FAST, _NO_ROOM, _LEAVING = 403, 503, 486, 503
_USER = re.compile(r"<?\s*(?:sips?|tel):([^@;>\s?]+)", re.IGNORECASE)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_ORNAMENT = re.compile(r"[\s().\-]")  # RFC 3966 section 5.1.1: visual separators

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Knock:
    """An INVITE that begins a call. `call_id`: ours."""

    call_id: str
    source: str  # "host:port" that the packet came from
    text: str  # the message


@dataclass(frozen=True, slots=True)
class Welcome:
    """It may ring. The user parts of the wire, without ornaments; empty: none, or hidden."""

    caller: str
    called: str


@dataclass(frozen=True, slots=True)
class TurnAway:
    code: int
    why: str


@dataclass(slots=True)
class Doorway:
    """`free`: lines that could take a call now."""

    networks: tuple[Network, ...]
    per_s: float = CALLS_PER_S
    _came: deque[float] = field(default_factory=deque)

    @classmethod
    def of(cls, acl: Sequence[str]) -> "Doorway":
        return cls(tuple(ip_network(text) for text in acl))

    def judge(self, knock: Knock, *, free: int, leaving: bool, now: float) -> Welcome | TurnAway:
        while self._came and self._came[0] <= now - 1.0:
            self._came.popleft()
        if not self.lets_in(knock.source):
            return TurnAway(_STRANGER, "no network of inbound.acl")
        if len(self._came) >= self.per_s:
            return TurnAway(_TOO_FAST, f"more than {self.per_s:g} calls a second")
        self._came.append(now)
        if leaving:
            return TurnAway(_LEAVING, "the service is stopping")
        if free < 1:
            return TurnAway(_NO_ROOM, "every line is busy")
        return Welcome(caller_of(knock.text), called_of(knock.text))

    def lets_in(self, source: str) -> bool:
        host = source.rpartition(":")[0].strip("[]")
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self.networks if network.version == address.version)


def caller_of(text: str) -> str:
    """Who calls: P-Asserted-Identity (RFC 3325) where the trunk gives it, else From."""
    return _number(header_of(text, "p-asserted-identity")) or _number(header_of(text, "from", "f"))


def called_of(text: str) -> str:
    """Which of our numbers: that of the request line."""
    words = text.split(None, 2)
    return _number(words[1]) if len(words) > 1 else ""


def _number(uri: str) -> str:
    found = _USER.search(uri)
    if found is None:
        return ""
    user = _ESCAPE.sub(lambda code: chr(int(code[1], 16)), found[1])
    number = _ORNAMENT.sub("", user)
    return number if number.isascii() and number.isprintable() and len(number) <= USER_MAX else ""
