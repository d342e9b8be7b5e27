"""Each member that a trunk may have: where it is said, what is refused, and what may not stand together."""

from pathlib import Path

import pytest

from sip.trunk import (
    CallerIdHeader,
    CallerIdPolicy,
    DtmfWay,
    Failover,
    Inbound,
    OnForbidden,
    Opening,
    OptionsPing,
    Register,
    Registration,
    Rtp,
    Srtp,
    Timers,
    Tls,
    Transport,
    Trunk,
    TrunkType,
    TrunkUri,
)
from sip.trunk_file import TrunkError, load_trunks

SECRET = "s3cret-CANARY"
LOGIN = 'username = "u"\npassword = { env = "PW" }'


def read(folder: Path, keys: str) -> Trunk:
    path = folder / "trunks.toml"
    path.write_text(f"[trunks.a]\n{keys}\n", encoding="utf-8")
    (trunk,) = load_trunks(path, {"PW": SECRET}, facing=lambda _: "10.0.0.5")
    return trunk


def test_a_trunk_that_registers_over_tls_with_srtp(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")
    trunk = read(
        tmp_path,
        f"""
        type = "register"
        {LOGIN}
        uris = [{{ host = "sip.example.org", transport = "tls" }}]
        outbound_proxy = "proxy.example.org:5071"
        srtp = "required"
        tls = {{ ca = "ca.pem", verify = false }}
        [trunks.a.register]
        registrar = "reg.example.org"
        expires = 120
        contact = "line-1"
        retry = {{ base_s = 2, max_s = 60 }}
        forbidden = "retry"
        """,
    )

    assert (trunk.type, trunk.registration) == (TrunkType.REGISTER, Registration.ONE)
    assert trunk.uris == (TrunkUri("sip.example.org", 5061, Transport.TLS),)
    assert trunk.outbound_proxy == "proxy.example.org:5071"
    assert trunk.srtp is Srtp.REQUIRED
    assert trunk.tls == Tls(verify=False, ca=str(tmp_path / "ca.pem"))
    assert trunk.register == Register("reg.example.org", 120, "line-1", 2.0, 60.0, OnForbidden.RETRY)


def test_everything_about_routing(tmp_path: Path) -> None:
    trunk = read(
        tmp_path,
        """
        host = "a"
        weight = 5
        prefixes = ["234", "2348"]
        price = "0.0125"
        limits = { daily_amount = "100.00", max_rate = "0.20" }
        failover = { on = [503, "congestion"], never_on = [404], max_hops = 2, total_budget_ms = 8000 }
        options_ping = { interval_s = 10, fail_after = 3, recover_after = 1, ok_codes = [200] }
        schedule = [{ days = ["mon"], from = "08:00", to = "20:00", timezone = "Africa/Lagos" }, {}]
        tags = ["x"]
        """,
    )

    assert (trunk.weight, trunk.prefixes, trunk.price) == (5, ("234", "2348"), "0.0125")
    assert (trunk.daily_amount, trunk.max_rate) == ("100.00", "0.20")
    assert trunk.failover == Failover(("503", "congestion"), ("404",), 2, 8000)
    assert trunk.options_ping == OptionsPing(10.0, 3, 1, (200,))
    assert trunk.schedule == (Opening(("mon",), "08:00", "20:00", "Africa/Lagos"), Opening())
    assert trunk.tags == ("x",)


def test_everything_about_the_wire(tmp_path: Path) -> None:
    trunk = read(
        tmp_path,
        """
        host = "a"
        dtmf = "info"
        timers = { t1 = 200, b = 4000 }
        rtp = { ports = [30000, 30999], symmetric = false, from = ["203.0.113.0/24", "198.51.100.7"] }
        inbound = { acl = ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"], port = 5062, say = "Nobody is here." }
        caller_id = { policy = "fixed", numbers = ["2347080670000"], header = "pai", privacy = true }
        """,
    )

    assert trunk.dtmf is DtmfWay.INFO
    assert trunk.timers == Timers(200, 4000)
    media = ("203.0.113.0/24", "198.51.100.7/32")
    assert trunk.rtp == Rtp(port_base=30000, port_last=30999, symmetric=False, sources=media)
    assert trunk.inbound == Inbound(("192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"), 5062, "Nobody is here.")
    assert (trunk.caller_id_policy, trunk.caller_id_header) == (CallerIdPolicy.FIXED, CallerIdHeader.PAI)
    assert trunk.privacy is True


@pytest.mark.parametrize(
    ("keys", "pointer", "says"),
    [
        # what may not stand together
        ('srtp = "required"', "#/srtp", "at every uri"),
        ('transport = "tcp"\nsrtp = "optional"', "#/srtp", "at every uri"),
        ('transport = "tls"\ninbound = { acl = ["10.0.0.0/8"] }', "#/tls/client_cert", "calls come in over TLS"),
        ('type = "register"', "#/username", "needs a login"),
        ('caller_id = { policy = "fixed" }', "#/caller_id/numbers", "is missing"),
        ('registration = "one"', "#/registration", "belongs to"),
        (f'type = "register"\nregistration = "none"\n{LOGIN}', "#/registration", "registers"),
        ("timers = { t1 = 1000, b = 1000 }", "#/timers/b", "second time"),
        ("rtp = { ports = [30000, 30100], port_base = 30000 }", "#/rtp/port_base", "say it once"),
        ("register = { retry = { base_s = 50, max_s = 5 } }", "#/register/retry/max_s", "less than base_s"),
        # one by one
        ('tls = { ca = "not-there.pem" }', "#/tls/ca", "cannot be read"),
        ('tls = { ca = "empty.pem" }', "#/tls/ca", "is empty"),
        ('tls = { client_cert = "empty.pem" }', "#/tls/client_cert", "is empty"),
        ('inbound = { acl = ["10.0.0.1/8"] }', "#/inbound/acl", "CIDR"),
        ('inbound = { acl = ["carrier"] }', "#/inbound/acl", "CIDR"),
        ('rtp = { from = ["10.0.0.1/8"] }', "#/rtp/from", "CIDR"),
        ('rtp = { from = ["2001:db8::/32"] }', "#/rtp/from", "IPv4"),
        ('rtp = { from = ["0.0.0.0/0"] }', "#/rtp/from", "not everybody"),
        ('schedule = [{ timezone = "Africa/Atlantis" }]', "#/schedule/0/timezone", "no such time zone"),
        ('schedule = [{ timezone = "../UTC" }]', "#/schedule/0/timezone", "no such time zone"),
        ('schedule = [{}, { from = "8:00" }]', "#/schedule/1/from", "time of day"),
        ('schedule = [{ from = "08:00", to = "08:00" }]', "#/schedule/0/from", "never open"),
        ('schedule = [{ days = ["monday"] }]', "#/schedule/0/days", "mon, tue"),
        ('schedule = ["mon"]', "#/schedule", "list of tables"),
        *(
            (f"failover = {{ on = [{never}] }}", "#/failover/on", "a person said no")
            for never in (486, 600, 603, 607, 608, '"user_busy"', '"call_declined"', '"unwanted"', '"603"')
        ),
        ("failover = { on = [700] }", "#/failover/on", "300 to 699"),
        ("failover = { on = [200] }", "#/failover/on", "300 to 699"),
        ('failover = { on = ["no_such_cause"] }', "#/failover/on", "300 to 699"),
        ("failover = { on = [503, 503] }", "#/failover/on", "twice"),
        ("failover = { max_hops = 100 }", "#/failover/max_hops", "between"),
        ('dtmf = "morse"', "#/dtmf", "one of rfc4733"),
        ('outbound_proxy = "sip:x@y"', "#/outbound_proxy", "has a port"),
        ('register = { contact = "a@b" }', "#/register/contact", "user part"),
        ('register = { registrar = "a b" }', "#/register/registrar", "DNS name"),
        ("register = { retry = { base = 5 } }", "#/register/retry/base", "did you mean base_s?"),
        ('price = "-1"', "#/price", "amount"),
        ('price = "1e5"', "#/price", "amount"),
        ('limits = { max_rate = "free" }', "#/limits/max_rate", "amount"),
        ('prefixes = ["+234"]', "#/prefixes", "international digits"),
        ("options_ping = { ok_codes = [100] }", "#/options_ping/ok_codes", "200 to 699"),
        ("rtp = { ports = [30001, 30100] }", "#/rtp/ports", "begin even"),
        ("rtp = { ports = [30000] }", "#/rtp/ports", "first and the last"),
        ('tags = [""]', "#/tags", "printable"),
        ('name = ""', "#/name", "printable"),
        ('username = "a\\"b"\npassword = { env = "PW" }', "#/username", "without quotes"),
    ],
)
def test_a_mistake_says_where_and_what_to_do(tmp_path: Path, keys: str, pointer: str, says: str) -> None:
    (tmp_path / "empty.pem").touch()
    host = "" if "uris" in keys else 'host = "a"\n'

    with pytest.raises(TrunkError) as refused:
        read(tmp_path, host + keys)

    assert (refused.value.pointer, says in str(refused.value)) == (pointer, True), str(refused.value)


def test_srtp_needs_tls_at_every_uri(tmp_path: Path) -> None:
    with pytest.raises(TrunkError, match="every uri"):
        read(tmp_path, 'srtp = "required"\nuris = [{ host = "a", transport = "tls" }, { host = "b" }]')


def test_a_login_over_udp_is_allowed_and_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(tmp_path, f'host = "a"\n{LOGIN}').auth is not None
    assert ["over UDP" in record.message for record in caplog.records] == [True]

    caplog.clear()
    read(tmp_path, f'host = "a"\ntransport = "tls"\n{LOGIN}')
    assert caplog.records == []


def test_unverified_tls_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(tmp_path, 'host = "a"\ntransport = "tls"\ntls = { verify = false }')

    assert ["verify is false" in record.message for record in caplog.records] == [True]


def test_an_empty_table_of_trunks_says_that_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "trunks.toml"
    path.write_text("[trunks]\n")

    assert load_trunks(path, {}) == ()
