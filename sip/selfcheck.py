"""The start-up self-check: what PJSIP says is in force, against what may never be. Pure.

The engine reads `Effective` from the library's own objects after they were set, so a setting that was lost on the way
is found too. A fault means that the line process must not dial.
"""

from dataclasses import dataclass

from sip.setup import LineSetup
from sip.tls import TLS_1_2
from sip.trunk import Transport

KNOWN_CODECS = ("PCMA", "PCMU", "G722")
VERSION_FLOOR = (2, 17)  # the first release without the memory faults known in 2.15.1; older ones need the edge proxy
CREDENTIAL_MAX = 120  # bytes; the library prints credentials into buffers of fixed size
TIMER_LEAST_S = 90  # RFC 4028 section 4
RANGE_PER_CALL = 4  # ports: RTP and RTCP, twice, because they are freed late


@dataclass(frozen=True, slots=True)
class Effective:
    """Settings as the library reports them."""

    version: str
    capacity: int
    codecs: tuple[str, ...]  # enabled ones, names only
    videos: int
    ice: bool
    turn: bool
    upnp: bool
    stun: bool
    nameserver: bool
    realms: tuple[str, ...]
    schemes: tuple[str, ...]
    digest_types: tuple[int, ...]
    credential_bytes: int  # the longest field
    srtp: int
    srtp_signalling: int
    tls_verify: bool
    tls_issuers: str
    tls_proto: int  # a set of bits, one for each version
    sip_bound: str
    rtp_bound: str
    rtp_base: int
    rtp_range: int
    sip_threads: int
    media_threads: int
    media_ioqueue: bool
    main_thread_only: bool
    auto_close_s: int
    no_vad: bool
    echo_tail_ms: int
    clock_hz: int
    timer_use: int
    timer_expires_s: int
    mwi: bool
    publish: bool


def faults(seen: Effective, told: LineSetup) -> tuple[str, ...]:
    """Sentences for the operator; empty when the process may dial."""
    return tuple(sentence for wrong, sentence in _rules(seen, told) if wrong)


def warnings(seen: Effective, told: LineSetup) -> tuple[str, ...]:
    """What an operator should know, though it stops nothing."""
    floor = ".".join(map(str, VERSION_FLOOR))
    old = f"PJSIP {seen.version} is older than {floor}: let only your trunk's addresses reach its SIP and RTP ports"
    gullible = "TLS believes any certificate (tls.verify = false): whoever stands in between hears the calls"
    found = ((_version(seen.version) < VERSION_FLOOR, old), (_over_tls(told) and not seen.tls_verify, gullible))
    return tuple(sentence for odd, sentence in found if odd)


def _rules(seen: Effective, told: LineSetup) -> tuple[tuple[bool, str], ...]:
    return (
        (seen.capacity < 1, "PJSIP reports no line at all"),
        (seen.capacity != told.capacity, f"PJSIP has {seen.capacity} lines, not the {told.capacity} asked for"),
        (not seen.codecs, "no codec is enabled"),
        (not set(seen.codecs) <= set(KNOWN_CODECS), f"a codec other than {', '.join(KNOWN_CODECS)} is enabled"),
        (seen.videos > 0, "video is compiled in and enabled"),
        (seen.ice or seen.turn or seen.upnp or seen.stun, "ICE, TURN, STUN or UPnP is on"),
        (seen.nameserver, "PJSIP's own DNS resolver is on"),
        (any(realm in ("", "*") for realm in seen.realms), "a credential has no realm of its own"),
        (any(scheme.lower() != "digest" for scheme in seen.schemes), "a credential is not for digest"),
        (any(kind != 0 for kind in seen.digest_types), "a credential is a pre-computed digest"),
        (seen.credential_bytes > CREDENTIAL_MAX, f"a credential is longer than {CREDENTIAL_MAX} bytes"),
        (seen.srtp > 0 and not _over_tls(told), "SRTP without TLS shows its keys to everybody on the way"),
        (seen.srtp > 0 and seen.srtp_signalling < 1, "SRTP keys may be sent without TLS"),
        (_over_tls(told) and seen.tls_verify != told.trunk.tls.verify, "TLS does not verify as the trunk says"),
        (_over_tls(told) and seen.tls_verify and not seen.tls_issuers, "TLS has no file of issuers to believe"),
        (_over_tls(told) and seen.tls_proto != TLS_1_2, "TLS would speak other versions than 1.2"),
        (not told.any_interface and _unbound(seen.sip_bound), "SIP listens on every interface"),
        (not told.any_interface and _unbound(seen.rtp_bound), "RTP listens on every interface"),
        (seen.rtp_base % 2 != 0, "the RTP range begins with an odd port"),
        (seen.rtp_base <= 0 or seen.rtp_range < RANGE_PER_CALL * seen.capacity, "the RTP range is too small"),
        (seen.sip_threads != 0 or seen.media_threads != 0 or seen.media_ioqueue, "PJSIP has threads of its own"),
        (not seen.main_thread_only, "PJSIP may call back from other threads"),
        (seen.auto_close_s != -1, "the sound clock stops by itself"),
        (not seen.no_vad, "silence would not be sent"),
        (seen.echo_tail_ms != 0, "the echo canceller is on"),
        (seen.clock_hz != 8000, "the sound clock is not at 8 kHz"),
        (seen.timer_use != 3, "session timers are not always asked for"),
        (seen.timer_expires_s != told.trunk.session_expires_s, "the session timer has another length"),
        (seen.timer_expires_s < TIMER_LEAST_S, f"the session timer is shorter than the {TIMER_LEAST_S} s of RFC 4028"),
        (told.trunk.timers.t1_ms != 500, "timer T1 is fixed at 500 ms in this build of PJSIP"),
        (not told.trunk.rtp.symmetric, "this build of PJSIP always sends where the peer sends from"),
        (seen.mwi or seen.publish, "message waiting or publishing is on"),
    )


def _unbound(address: str) -> bool:
    return address in ("", "0.0.0.0", "::")


def _over_tls(told: LineSetup) -> bool:
    return told.transport is Transport.TLS


def _version(text: str) -> tuple[int, int]:
    numbers = text.split("-")[0].split(".")
    try:
        return int(numbers[0]), int(numbers[1])
    except (IndexError, ValueError):
        return 0, 0
