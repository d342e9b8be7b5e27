"""Trunk: where calls leave. A frozen value; `voice-api` section "Trunk object" names its fields.

This issue carries calls over `static` UDP trunks (known by address, no registration). The other fields exist so that
a trunk file written today stays valid; a trunk that needs what we cannot do yet is refused at load with that sentence.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class TrunkType(StrEnum):
    STATIC = "static"
    REGISTER = "register"
    PEER = "peer"


class Registration(StrEnum):
    NONE = "none"
    ONE = "one"
    EVERY_LINE = "every_line"


class Transport(StrEnum):
    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class TrunkUri:
    """One place where the trunk listens."""

    host: str
    port: int = 5060
    transport: Transport = Transport.UDP
    priority: int = 1
    weight: int = 100
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Credentials:
    """Digest login. The realm is explicit, never `*`: any called party could ask for our digest otherwise (R3)."""

    username: str
    realm: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rtp:
    """What we expect of the peer's media."""

    timeout_s: float = 30.0  # no RTP and no RTCP for so long ends the call: completed, media_timeout
    required: bool = False  # True: an answered call in which the peer never sent a packet is a silent call
    port_base: int = 0  # 0: the pool chooses free, even ports; else the first port of the pool's range


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How the called number is written on the wire."""

    out: str = "e164"  # "+e164" | "e164" | "00" | "national" | "custom"
    country: str | None = None
    strip: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Trunk:
    """A place where calls leave, and how it wants to be spoken to."""

    id: str
    name: str
    uris: tuple[TrunkUri, ...]
    type: TrunkType = TrunkType.STATIC
    registration: Registration = Registration.NONE
    enabled: bool = True
    sandbox: bool = False  # the catch-all phone on loopback: the only trunk a test key can reach, and no live key can
    priority: int = 1
    channels: int = 20  # concurrent calls, over all line processes
    cps: float = 5.0  # new calls a second
    codecs: tuple[str, ...] = ("PCMA", "PCMU")
    caller_ids: tuple[str, ...] = ()  # international digits, no plus
    auth: Credentials | None = None
    number_format: NumberFormat = NumberFormat()
    rtp: Rtp = Rtp()
    bind_address: str = "127.0.0.1"  # interface for SIP and RTP; never 0.0.0.0 unless the operator says so
    public_address: str | None = None
    session_expires_s: int = 90
    headers: tuple[tuple[str, str], ...] = ()
