"""Settings under which a line process must not dial: each is found alone."""

from dataclasses import replace

import pytest

from sip.selfcheck import Effective, faults, warnings
from sip.setup import LineSetup
from sip.trunk import Rtp, Timers, Tls, Transport, Trunk, TrunkUri

TOLD = LineSetup(Trunk("t", "t", (TrunkUri("10.0.0.1"),)), 4, 30000, 16, "/tmp")
GOOD = Effective(
    version="2.17",
    capacity=4,
    codecs=("PCMA", "PCMU"),
    videos=0,
    ice=False,
    turn=False,
    upnp=False,
    stun=False,
    nameserver=False,
    realms=("trunk.example",),
    schemes=("digest",),
    digest_types=(0,),
    credential_bytes=20,
    srtp=0,
    srtp_signalling=1,
    tls_verify=False,
    tls_issuers="",
    tls_proto=28,
    sip_bound="10.0.0.5",
    rtp_bound="10.0.0.5",
    rtp_base=30000,
    rtp_range=16,
    sip_threads=0,
    media_threads=0,
    media_ioqueue=False,
    main_thread_only=True,
    auto_close_s=-1,
    no_vad=True,
    echo_tail_ms=0,
    clock_hz=8000,
    timer_use=3,
    timer_expires_s=90,
    mwi=False,
    publish=False,
)

FORBIDDEN: list[tuple[str, object]] = [
    ("capacity", 0),
    ("capacity", 5),
    ("codecs", ()),
    ("codecs", ("PCMA", "speex")),
    ("videos", 1),
    ("ice", True),
    ("turn", True),
    ("upnp", True),
    ("stun", True),
    ("nameserver", True),
    ("realms", ("*",)),
    ("realms", ("",)),
    ("schemes", ("basic",)),
    ("digest_types", (1,)),
    ("credential_bytes", 121),
    ("srtp", 1),
    ("sip_bound", "0.0.0.0"),
    ("rtp_bound", ""),
    ("rtp_base", 30001),
    ("rtp_base", 0),
    ("rtp_range", 15),
    ("sip_threads", 1),
    ("media_threads", 1),
    ("media_ioqueue", True),
    ("main_thread_only", False),
    ("auto_close_s", 1),
    ("no_vad", False),
    ("echo_tail_ms", 200),
    ("clock_hz", 16000),
    ("timer_use", 2),
    ("timer_expires_s", 1800),
    ("mwi", True),
    ("publish", True),
]


def test_our_own_settings_pass() -> None:
    assert faults(GOOD, TOLD) == ()
    assert warnings(GOOD, TOLD) == ()


@pytest.mark.parametrize(("name", "value"), FORBIDDEN, ids=[f"{name}={value}" for name, value in FORBIDDEN])
def test_each_forbidden_setting_is_found(name: str, value: object) -> None:
    assert faults(replace(GOOD, **{name: value}), TOLD) != ()


TLS_TOLD = replace(TOLD, trunk=replace(TOLD.trunk, uris=(TrunkUri("sip.example.net", 5061, Transport.TLS),)))
TLS_GOOD = replace(GOOD, tls_verify=True, tls_issuers="/etc/issuers.pem", tls_proto=16, srtp=2)


def test_tls_as_we_set_it_passes() -> None:
    assert faults(TLS_GOOD, TLS_TOLD) == ()
    assert warnings(TLS_GOOD, TLS_TOLD) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [("tls_verify", False), ("tls_issuers", ""), ("tls_proto", 28), ("tls_proto", 20), ("srtp_signalling", 0)],
)
def test_each_loose_end_of_tls_is_found(name: str, value: object) -> None:
    assert faults(replace(TLS_GOOD, **{name: value}), TLS_TOLD) != ()


def test_tls_that_believes_anybody_is_allowed_and_said() -> None:
    told = replace(TLS_TOLD, trunk=replace(TLS_TOLD.trunk, tls=Tls(verify=False)))
    seen = replace(TLS_GOOD, tls_verify=False)

    assert faults(seen, told) == ()
    assert "believes any certificate" in warnings(seen, told)[0]


@pytest.mark.parametrize(
    "trunk", [replace(TOLD.trunk, timers=Timers(t1_ms=100)), replace(TOLD.trunk, rtp=Rtp(symmetric=False))]
)
def test_what_the_library_cannot_do_is_refused_and_never_ignored(trunk: Trunk) -> None:
    assert len(faults(GOOD, replace(TOLD, trunk=trunk))) == 1


def test_every_interface_only_on_the_operators_word() -> None:
    everywhere = replace(GOOD, sip_bound="0.0.0.0", rtp_bound="0.0.0.0")

    assert len(faults(everywhere, TOLD)) == 2
    assert faults(everywhere, replace(TOLD, any_interface=True)) == ()


def test_a_session_timer_shorter_than_the_rfc_allows_is_refused() -> None:
    told = replace(TOLD, trunk=replace(TOLD.trunk, session_expires_s=10))

    assert "RFC 4028" in faults(replace(GOOD, timer_expires_s=10), told)[0]


@pytest.mark.parametrize(
    ("version", "old"),
    [("2.15.1", True), ("2.16", True), ("2.17", False), ("2.17.1-svn", False), ("3.0", False), ("?", True)],
)
def test_an_old_library_is_a_warning(version: str, old: bool) -> None:
    assert bool(warnings(replace(GOOD, version=version), TOLD)) is old
