"""Trunk: where calls leave, and everything an operator may say about it. One frozen value, and its parts.

It is what the trunk file says (sip/trunk_file.py) and what the API shows. A member that cannot be honoured yet is
refused where it is said, never ignored here.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

ALERT_SHARE = 0.1  # of a trunk's channels: kept for alerts unless said otherwise


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


class Srtp(StrEnum):
    """RFC 3711, keys by SDES (RFC 4568): they stand in the SDP, so anything but `off` needs TLS."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class DtmfWay(StrEnum):
    """How key presses reach us."""

    RFC4733 = "rfc4733"  # named events in RTP
    INFO = "info"  # SIP INFO, application/dtmf-relay
    INBAND = "inband"  # tones in the sound itself


class CallerIdPolicy(StrEnum):
    FIXED = "fixed"  # always the first of `caller_ids`, whatever was asked
    POOL = "pool"  # one of `caller_ids`
    PASS = "pass"  # any number that the account owns


class CallerIdHeader(StrEnum):
    FROM = "from"
    PAI = "pai"  # P-Asserted-Identity, RFC 3325
    RPID = "rpid"  # Remote-Party-ID, a draft that many carriers still read


class OnForbidden(StrEnum):
    """After a refused login (403, or a second challenge)."""

    STOP = "stop"
    RETRY = "retry"


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
    port_last: int = 0  # 0: no end; else no port beyond it
    symmetric: bool = True  # send where the peer sends from
    sources: tuple[str, ...] = ()  # `from`: networks (CIDR) of their media, beside what SDP and signalling name


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How the called number is written on the wire."""

    out: str = "e164"  # "+e164" | "e164" | "00" | "national" | "custom"
    country: str | None = None
    strip: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Register:
    """REGISTER, for trunks of type `register` (RFC 3261 section 10)."""

    registrar: str = ""  # host or host:port; empty: where calls go
    expires_s: int = 300
    contact: str = ""  # the user part of our Contact; empty: the login's user name
    retry_base_s: float = 5.0  # after a failure: base, doubled each time, with jitter, at most `retry_max_s`
    retry_max_s: float = 300.0
    forbidden: OnForbidden = OnForbidden.STOP


@dataclass(frozen=True, slots=True)
class Tls:
    """What we ask of the other side. TLS 1.2 at least; a name that does not match ends the handshake."""

    verify: bool = True
    ca: str = ""  # file with the issuers we believe; empty: those of the system
    client_cert: str = ""  # file with our certificate and its key


@dataclass(frozen=True, slots=True)
class Inbound:
    """Calls that the trunk may bring. Empty: none, whoever sends them."""

    acl: tuple[str, ...] = ()  # networks (CIDR) whose INVITEs are taken
    port: int = 5060  # where we listen for them
    say: str = ""  # what a caller hears for whom no message waits; empty: the call is refused


@dataclass(frozen=True, slots=True)
class OptionsPing:
    """RFC 3261 section 11, to each target."""

    interval_s: float = 30.0
    fail_after: int = 5  # misses in a row until a target is down
    recover_after: int = 2  # answers in a row until it is up again
    ok_codes: tuple[int, ...] = ()  # empty: any answer but 408, 500, 502, 503 and 504 says that somebody is there


@dataclass(frozen=True, slots=True)
class Failover:
    """When another trunk may be tried at once: a new call, the next hop of the same attempt.

    `on` and `never_on` hold SIP codes and causes ("503", "congestion"). `never_on` wins. 486, 600, 603, 607 and 608
    are never another trunk's business, whatever stands here.
    """

    on: tuple[str, ...] = ()  # more than what the outcome table calls next_trunk; silence by its cause only
    never_on: tuple[str, ...] = ()
    max_hops: int = 3
    total_budget_ms: int = 30_000  # from the first INVITE to the last one


@dataclass(frozen=True, slots=True)
class Timers:
    """RFC 3261 section 17, in milliseconds."""

    t1_ms: int = 500
    b_ms: int = 32_000  # an INVITE that nobody answers is given up after so long


@dataclass(frozen=True, slots=True)
class Opening:
    """When the trunk may be used: days ("mon" … "sun"; none: every day), from and to ("HH:MM"), in a zone."""

    days: tuple[str, ...] = ()
    start: str = "00:00"
    end: str = "24:00"
    timezone: str = "UTC"


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
    alert_channels: int | None = None  # of `channels`, kept free of campaigns; None: a tenth
    codecs: tuple[str, ...] = ("PCMA", "PCMU")
    caller_ids: tuple[str, ...] = ()  # international digits, no plus
    auth: Credentials | None = None
    number_format: NumberFormat = NumberFormat()
    rtp: Rtp = Rtp()
    bind_address: str = "127.0.0.1"  # interface for SIP and RTP; never 0.0.0.0 unless the operator says so
    public_address: str | None = None
    session_expires_s: int = 90
    headers: tuple[tuple[str, str], ...] = ()
    weight: int = 100  # among trunks of one priority: the share of calls; 0: after those, by price
    outbound_proxy: str = ""  # host or host:port; every request goes there first
    register: Register = Register()
    tls: Tls = Tls()
    srtp: Srtp = Srtp.OFF
    dtmf: DtmfWay = DtmfWay.RFC4733
    inbound: Inbound = Inbound()
    options_ping: OptionsPing | None = None  # None: not pinged
    caller_id_policy: CallerIdPolicy = CallerIdPolicy.POOL
    caller_id_header: CallerIdHeader = CallerIdHeader.FROM
    privacy: bool = False  # Privacy: id, and an anonymous From (RFC 3323)
    failover: Failover = Failover()
    timers: Timers = Timers()
    schedule: tuple[Opening, ...] = ()  # empty: always
    prefixes: tuple[str, ...] = ()  # international digits; empty: every number
    price: str = "0"  # decimal, per minute; of trunks of weight 0 the cheaper one comes first
    daily_amount: str = ""  # decimal; empty: no limit
    max_rate: str = ""  # decimal per minute; dearer destinations do not leave here
    tags: tuple[str, ...] = ()

    def channels_for(self, *, campaign: bool) -> int:
        """Channels that such a call may use: a campaign leaves some to alerts, except on a trunk that has only one."""
        if not campaign:
            return self.channels
        kept = math.ceil(self.channels * ALERT_SHARE) if self.alert_channels is None else self.alert_channels
        return max(1, self.channels - kept)
