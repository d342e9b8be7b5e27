"""The operator's trunk file: what it may say, and what it is told when it is wrong."""

import logging
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sip.trunk import Credentials, NumberFormat, Registration, Rtp, Transport, Trunk, TrunkType, TrunkUri
from sip.trunk_file import TrunkError, load_trunks
from sip.trunk_reading import KEYS, our_address_towards

EXAMPLE = Path(__file__).parents[3] / "config" / "trunks.example.toml"
SECRET = "s3cret-CANARY"


def facing(host: str) -> str:
    return "10.0.0.5"


class Files:
    """Writes a trunk file and loads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, text: str, **env: str) -> tuple[Trunk, ...]:
        path = self.folder / "trunks.toml"
        path.write_text(text, encoding="utf-8")
        return load_trunks(path, env, facing=facing)

    def one(self, keys: str, **env: str) -> Trunk:
        (trunk,) = self.load(f"[trunks.lagos-1]\n{keys}\n", **env)
        return trunk

    def error(self, keys: str, **env: str) -> TrunkError:
        with pytest.raises(TrunkError) as refused:
            self.one(keys, **env)
        return refused.value


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_host_is_enough(files: Files) -> None:
    assert files.one('host = "sip.example.net"') == Trunk(
        id="lagos-1", name="lagos-1", uris=(TrunkUri("sip.example.net"),), bind_address="10.0.0.5"
    )


def test_the_short_form_says_what_most_carriers_need(files: Files) -> None:
    (files.folder / "secret").write_text(f"{SECRET}\n")

    trunk = files.one(
        """
        host = "192.0.2.7:5070"
        transport = "udp"
        registration = "none"
        username = "alarm"
        realm = "carrier"
        password = { file = "secret" }
        caller_ids = ["+2347080670000", "2347080670001"]
        channels = 7
        cps = 2
        codecs = ["PCMU"]
        bind_address = "192.0.2.10"
        public_address = "203.0.113.5"
        rtp = { timeout_s = 10, required = true, port_base = 31000 }
        """
    )

    assert trunk == Trunk(
        id="lagos-1",
        name="lagos-1",
        uris=(TrunkUri("192.0.2.7", 5070),),
        channels=7,
        cps=2.0,
        codecs=("PCMU",),
        caller_ids=("2347080670000", "2347080670001"),
        auth=Credentials("alarm", "carrier", SECRET),
        rtp=Rtp(10.0, True, 31000),
        bind_address="192.0.2.10",
        public_address="203.0.113.5",
    )


def test_the_full_form_says_the_same_and_more(files: Files) -> None:
    trunk = files.one(
        """
        name = "Lagos"
        type = "static"
        priority = 2
        uris = [
            { host = "192.0.2.7" },
            { host = "2001:db8::1", port = 5070, priority = 2, weight = 5, enabled = false },
        ]
        auth = { username = "alarm", realm = "carrier", password_ref = { env = "PW" } }
        limits = { channels = 7, cps = 0.5 }
        caller_id = { policy = "pool", numbers = ["2347080670000"], header = "from", privacy = false }
        number_format = { out = "national", country = "234", prefix = "0" }
        timers = { session_expires = 120 }
        headers = { X-Account = "42" }
        tags = ["a"]
        """,
        PW=SECRET,
    )

    assert trunk.name == "Lagos"
    assert trunk.priority == 2
    assert trunk.uris == (TrunkUri("192.0.2.7"), TrunkUri("2001:db8::1", 5070, Transport.UDP, 2, 5, False))
    assert trunk.auth == Credentials("alarm", "carrier", SECRET)
    assert (trunk.channels, trunk.cps, trunk.session_expires_s) == (7, 0.5, 120)
    assert trunk.caller_ids == ("2347080670000",)
    assert trunk.number_format == NumberFormat("national", "234", "", "0")
    assert trunk.headers == (("X-Account", "42"),)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:5070", ("127.0.0.1", 5070)),
        ("sip.example.net:5070", ("sip.example.net", 5070)),
        ("[2001:db8::1]:5070", ("2001:db8::1", 5070)),
        ("[2001:db8::1]", ("2001:db8::1", 5060)),
        ("2001:db8::1", ("2001:db8::1", 5060)),
        ("localhost", ("localhost", 5060)),
    ],
)
def test_a_host_may_carry_its_port(files: Files, host: str, expected: tuple[str, int]) -> None:
    (uri,) = files.one(f'host = "{host}"').uris

    assert (uri.host, uri.port) == expected


def test_a_trunk_on_loopback_is_bound_to_loopback(files: Files) -> None:
    assert files.one('host = "127.0.0.1:5070"').bind_address == "127.0.0.1"


def test_without_a_route_the_bind_address_has_to_be_given(tmp_path: Path) -> None:
    def nowhere(host: str) -> str:
        raise OSError("no route")

    path = tmp_path / "trunks.toml"
    path.write_text('[trunks.a]\nhost = "192.0.2.7"\n')

    with pytest.raises(TrunkError, match="bind_address: is missing"):
        load_trunks(path, {}, facing=nowhere)


def test_our_own_address_is_that_of_the_route_to_the_trunk() -> None:
    assert our_address_towards("127.0.0.1") == "127.0.0.1"


# -- mistakes


@pytest.mark.parametrize(
    ("keys", "key", "says"),
    [
        ("", "host", "is missing"),
        ("host = 5", "host", "a text"),
        ('host = ""', "host", "DNS name"),
        ('host = "a b"', "host", "DNS name"),
        ('host = "sip:x@y"', "host", "port"),
        ('host = "a:0"', "host", "port"),
        ('host = "a:99999"', "host", "port"),
        ('host = "a:5070"\nport = 5060', "port", "say it once"),
        ('host = "a"\nport = 70000', "port", "between 1 and 65535"),
        ('host = "a"\nport = true', "port", "whole number"),
        ('host = "a"\nuris = [{ host = "b" }]', "host", "say it once"),
        ("uris = [1]", "uris", "list of tables"),
        ('uris = [{ host = "b", enabled = false }]', "uris", "every uri is disabled"),
        ('host = "a"\nchanels = 5', "chanels", "did you mean channels?"),
        ('host = "a"\nzzz = 5', "zzz", "unknown key"),
        ('host = "a"\nrtp = { timeout = 5 }', "timeout", "did you mean timeout_s?"),
        ('uris = [{ hots = "b" }]', "hots", "did you mean host?"),
        ('host = "a"\nchannels = 0', "channels", "between 1 and"),
        ('host = "a"\nchannels = 5\nlimits = { channels = 5 }', "channels", "limits.channels too"),
        ('host = "a"\ncps = 0', "cps", "between"),
        ('host = "a"\ncps = nan', "cps", "between"),
        ('host = "a"\ncps = "5"', "cps", "a number"),
        ('host = "a"\nenabled = "yes"', "enabled", "true or false"),
        ('host = "a"\ntype = "sip"', "type", "one of static, register, peer"),
        ('host = "a"\ncodecs = []', "codecs", "PCMA, PCMU, G722"),
        ('host = "a"\ncodecs = ["OPUS"]', "codecs", "PCMA, PCMU, G722"),
        ('host = "a"\ncodecs = ["PCMA", "PCMA"]', "codecs", "each once"),
        ('host = "a"\ncodecs = "PCMA"', "codecs", "a list"),
        ('host = "a"\ncaller_ids = ["0802"]', "caller_ids", "international"),
        ('host = "a"\ncaller_ids = [2347080670000]', "caller_ids", "list of texts"),
        ('host = "a"\ncaller_id = { numbers = ["x"] }', "numbers", "international"),
        ('host = "a"\nbind_address = "eth0"', "bind_address", "as digits"),
        ('host = "a"\nrtp = { port_base = 31001 }', "port_base", "even"),
        ('host = "a"\nrtp = 5', "rtp", "a table"),
        ('host = "a"\nsession_expires_s = 60', "session_expires_s", "between 90"),
        ('host = "a"\nheaders = { P-Asserted-Identity = "x" }', "headers", "X-…"),
        ('host = "a"\nheaders = { X-A = 5 }', "headers", "table of texts"),
        ('host = "a"\nheaders = { X-Call-Id = "5" }', "headers", "ours"),
        ('host = "a"\nheaders = { X-A = "1\\r\\nVia: x" }', "headers", "printable ASCII"),
        ('host = "a"\nnumber_format = { out = "weird" }', "", "one of +e164"),
        ('host = "a"\nnumber_format = { out = "national" }', "", "calling code"),
        ('host = "a"\nnumber_format = { prefix = "@evil" }', "", "digits and *"),
        ('host = "sip.example.net"\nsandbox = true', "sandbox", "loopback"),
        # logins
        ('host = "a"\nusername = "u"', "password", "is missing"),
        ('host = "a"\npassword = { env = "PW" }', "username", "is missing"),
        ('host = "a"\nrealm = "r"', "realm", "means nothing"),
        ('host = "a"\nusername = "u"\nrealm = "*"\npassword = { env = "PW" }', "realm", "answer anybody"),
        (f'host = "a"\nusername = "u"\npassword = "{SECRET}"', "password", "out of this file"),
        ('host = "a"\nusername = "u"\npassword = { env = "NOT_SET" }', "env", "no password"),
        ('host = "a"\nusername = "u"\npassword = { file = "not-there" }', "file", "cannot be read"),
        ('host = "a"\nusername = "u"\npassword = { vault = "x" }', "vault", "unknown key"),
        ('host = "a"\nusername = "u"\npassword = { env = "PW", file = "x" }', "password", "out of this file"),
        ('host = "a"\nusername = "u"\nauth = { username = "u" }', "username", "auth.username too"),
    ],
)
def test_a_mistake_is_named_with_file_table_and_key(files: Files, keys: str, key: str, says: str) -> None:
    error = files.error(keys, PW=SECRET)

    assert says in str(error)
    assert error.key == key
    assert error.table.startswith("trunks.lagos-1")
    assert str(error).startswith(f"{files.folder / 'trunks.toml'}: [trunks.lagos-1")
    assert SECRET not in str(error)


IMPOSSIBLE = [
    'type = "peer"',
    "ptime = 30",
    'inbound = { auth = "user" }',
    'stir = { mode = "sign" }',
    'stir = { cert_ref = "x" }',
]


@pytest.mark.parametrize("keys", IMPOSSIBLE)
def test_what_cannot_be_honoured_is_refused_unless_the_trunk_is_disabled(files: Files, keys: str) -> None:
    error = files.error(f'host = "a"\n{keys}')

    assert "enabled = false" in str(error)
    assert error.key
    assert error.key in keys
    assert files.one(f'enabled = false\nhost = "a"\n{keys}').enabled is False


def test_a_disabled_trunk_keeps_its_words_and_needs_no_secret(files: Files) -> None:
    trunk = files.one(
        """
        enabled = false
        host = "a"
        type = "register"
        registration = "one"
        username = "u"
        password = { file = "no" }
        tls = { ca = "/not/there" }
        """
    )

    assert (trunk.type, trunk.registration, trunk.auth) == (TrunkType.REGISTER, Registration.ONE, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no trunk here"),
        ("trunks = 5", "no trunk here"),
        ("[trunks]\nlagos = 5", "no trunk here"),
        ('[trunk.a]\nhost = "a"', "did you mean trunks?"),
        ('[trunks."Lagos 1"]\nhost = "a"', "a name is"),
        ('[trunks.sandbox]\nhost = "a"', "catch-all phone"),
        ("[trunks.a", "is not TOML"),
        (f"[trunks.a]\nport = {'9' * 5000}", "is not TOML"),
    ],
)
def test_a_file_that_is_no_trunk_file_says_so(files: Files, text: str, says: str) -> None:
    with pytest.raises(TrunkError, match=r"trunks\.toml") as refused:
        files.load(text)

    assert says in str(refused.value)


def test_a_missing_file_and_a_binary_one_say_so(tmp_path: Path) -> None:
    with pytest.raises(TrunkError, match="cannot be read"):
        load_trunks(tmp_path / "none.toml", {})
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(TrunkError, match="is not TOML"):
        load_trunks(tmp_path / "bad.toml", {})


# -- secrets


def test_a_password_shows_up_nowhere(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    trunk = files.one(f'host = "127.0.0.1"\nusername = "u"\npassword = {{ plain = "{SECRET}" }}')

    assert trunk.auth is not None
    assert trunk.auth.password == SECRET
    assert SECRET not in repr(trunk) + caplog.text
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_each_trunk_with_a_plain_password_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    login = 'host = "127.0.0.1"\nusername = "u"\npassword = { plain = "x" }\n'
    (tmp_path / "trunks.toml").write_text(f"[trunks.lagos-1]\n{login}[trunks.abuja]\n{login}")
    for _ in range(3):
        load_trunks(tmp_path / "trunks.toml", {})

    assert [re.findall(r"\[(.*?)\]", record.getMessage()) for record in caplog.records] == [
        ["trunks.lagos-1"],
        ["trunks.abuja"],
    ]


def test_a_password_from_a_file_or_the_environment_is_no_reason_to_complain(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    files.one('host = "127.0.0.1"\nusername = "u"\npassword = { env = "PW" }', PW=SECRET)

    assert caplog.records == []


def test_the_realm_of_the_short_form_is_the_host(files: Files) -> None:
    trunk = files.one('host = "sip.example.net:5070"\nusername = "u"\npassword = { env = "PW" }', PW=SECRET)

    assert trunk.auth is not None
    assert trunk.auth.realm == "sip.example.net"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff", b"a\x00b"])
def test_a_password_file_holds_one_line_of_text(files: Files, content: bytes) -> None:
    (files.folder / "secret").write_bytes(content)

    assert files.error('host = "a"\nusername = "u"\npassword = { file = "secret" }').key == "file"


# -- the example


def test_the_example_loads_and_shows_every_key() -> None:
    trunks = load_trunks(EXAMPLE, {})

    assert [trunk.id for trunk in trunks] == ["lagos-1", "backup", "pbx"]
    document = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    for table in KEYS:
        keys: set[str] = set()
        for inner in document["trunks"].values():
            for part in filter(None, table.split(".")):
                inner = inner.get(part, {})
            for values in inner if isinstance(inner, list) else [inner]:
                keys |= values.keys()
        missing = set(KEYS[table]) - keys - {"password"} if table == "auth" else set(KEYS[table]) - keys
        assert missing <= {"session_expires_s"}, f"not in the example: {table} {missing}"


def test_the_examples_work_once_they_are_enabled(files: Files) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    text = re.sub(r"^enabled = false", "enabled = true ", text, flags=re.MULTILINE)
    text = text.replace('{ file = "/run/secrets/lagos-1" }', '{ env = "PW" }')

    trunks = files.load(text, PW=SECRET, BACKUP_PASSWORD=SECRET, PBX_PASSWORD=SECRET)

    assert [trunk.enabled for trunk in trunks] == [True, True, True]
    assert [trunk.type for trunk in trunks] == [TrunkType.STATIC, TrunkType.STATIC, TrunkType.REGISTER]


WORDS = ["true", "nan", '""', '"a"', '"a:1"', '"*"', "[]", '["PCMA"]', "{}", '{ env = "PW" }', "[{}]", '"tls"']
toml_values = st.one_of(st.integers(-5, 10**6).map(str), st.sampled_from(WORDS))
TOP = tuple(KEYS[""])
keys = st.dictionaries(st.sampled_from(TOP), toml_values, max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys)
def test_any_file_is_trunks_or_a_named_mistake(files: Files, values: dict[str, str]) -> None:
    try:
        trunk = files.one("\n".join(f"{key} = {value}" for key, value in values.items()), PW=SECRET)
    except TrunkError:
        return

    assert trunk.id == "lagos-1"
