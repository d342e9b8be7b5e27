"""The operator's trunk file, TOML in, Trunk values out: every mistake is named with file, table and key.

`[trunks.NAME]` takes the full form (the trunk object of the API) and a short form (host, username, password …); what
both can say is said once. `config/trunks.example.toml` shows every key; a test loads it.

A key we do not know is an error. A key we know and cannot honour yet is an error too, unless the trunk is disabled:
a trunk that silently ignored `srtp = "required"` would be worse than none.
"""

import functools
import logging
import re
import socket
import tomllib
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from sip.trunk import Credentials, NumberFormat, Registration, Rtp, Transport, Trunk, TrunkType, TrunkUri
from sip.trunk_section import Section, TrunkFileError
from sip.uri import UriError, headers, is_host, request_uri

__all__ = ["TrunkFileError", "load_trunks"]

log = logging.getLogger(__name__)

CODECS = ("PCMA", "PCMU", "G722")
SECRET_MAX = 1024  # bytes of a password file
SESSION_EXPIRES_MIN_S = 90  # RFC 4028 section 4
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_NUMBER = re.compile(r"\+?([1-9][0-9]{6,14})")

# Every key there is, by table. The short form stands in the first line.
_KEYS: dict[str, tuple[str, ...]] = {
    "": (
        *("host", "port", "transport", "username", "realm", "password", "caller_ids", "channels", "cps"),
        *("name", "type", "registration", "enabled", "sandbox", "priority", "weight", "uris", "outbound_proxy"),
        *("register", "auth", "inbound", "tls", "srtp", "codecs", "dtmf", "ptime", "options_ping", "limits"),
        *("caller_id", "number_format", "failover", "headers", "timers", "rtp", "stir", "schedule", "tags"),
        *("bind_address", "public_address", "session_expires_s"),
    ),
    "uris": ("host", "port", "transport", "priority", "weight", "enabled"),
    "register": ("registrar", "expires", "contact", "retry", "forbidden"),
    "auth": ("username", "realm", "password", "password_ref"),
    "inbound": ("acl", "auth"),
    "tls": ("verify", "ca", "client_cert"),
    "options_ping": ("interval_s", "fail_after", "recover_after", "ok_codes"),
    "limits": ("channels", "cps", "daily_amount", "max_rate"),
    "caller_id": ("policy", "numbers", "header", "privacy"),
    "number_format": ("out", "country", "strip", "prefix"),
    "failover": ("on", "never_on", "max_hops", "total_budget_ms"),
    "timers": ("t1", "b", "session_expires"),
    "rtp": ("timeout_s", "required", "port_base", "ports", "symmetric"),
    "stir": ("mode", "cert_ref"),
}

# What this release cannot do: key -> the only value it can honour (None: must not be there), and the sentence.
_NOT_YET: dict[str, tuple[object, str]] = {
    "type": ("static", "this release calls over static trunks only, those known by their address"),
    "registration": ("none", "this release does not register; the trunk has to know us by address or by digest login"),
    "weight": (100, "this release does not spread calls by weight; use priority"),
    "outbound_proxy": (None, "this release sends straight to the trunk; give the proxy as host"),
    "register": (None, "this release does not register"),
    "inbound": (None, "this release takes no incoming calls"),
    "tls": (None, "this release speaks SIP over UDP only"),
    "srtp": ("off", "this release sends plain RTP only"),
    "dtmf": ("rfc4733", "this release reads key presses from RFC 4733 events only"),
    "ptime": (20, "this release sends 20 ms packets only"),
    "options_ping": (None, "this release does not ping trunks"),
    "failover": (None, "this release does not fail over to another trunk by itself"),
    "stir": (None, "this release does not sign caller ids"),
    "schedule": (None, "this release does not open and close trunks by time"),
    "limits.daily_amount": (None, "this release does not count money"),
    "limits.max_rate": (None, "this release does not count money"),
    "caller_id.policy": ("pool", "this release picks one of the numbers, or takes the one the request names"),
    "caller_id.header": ("from", "this release shows the caller id in From only"),
    "caller_id.privacy": (False, "this release does not hide the caller id"),
    "timers.t1": (None, "this release keeps the timers of RFC 3261"),
    "timers.b": (None, "this release keeps the timers of RFC 3261"),
    "rtp.ports": (None, "this release takes its ports from port_base"),
    "rtp.symmetric": (True, "this release always sends where it receives from"),
}


def load_trunks(path: Path, env: Mapping[str, str], *, facing: Callable[[str], str] | None = None) -> tuple[Trunk, ...]:
    """All trunks of the file, disabled ones too, in its order. Raises TrunkFileError.

    `env`: where `password = { env = "NAME" }` is looked up. `facing(host)`: the address of our interface towards a
    host, asked when a trunk has no `bind_address`.
    """
    found = _read(path)
    trunks = []
    for name, values in found.items():
        section = Section(path, f"trunks.{name}", values)
        if not _NAME.fullmatch(name):
            raise section.error("", "a name is a-z, 0-9 and -, at most 32 characters")
        trunks.append(_trunk(name, section, env, facing or _our_address_towards))
    return tuple(trunks)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise TrunkFileError(path, "", "", f"cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrunkFileError(path, "", "", f"is not TOML: {error}") from error
    Section(path, "", document).only(("trunks",))
    found = document.get("trunks")
    if not isinstance(found, dict) or not found or not all(isinstance(values, dict) for values in found.values()):
        raise TrunkFileError(path, "trunks", "", "no trunk here; write a table [trunks.NAME]")
    return found


def _trunk(name: str, section: Section, env: Mapping[str, str], facing: Callable[[str], str]) -> Trunk:
    _check_keys(section)
    kind = section.choice("type", TrunkType.STATIC)
    registration = section.choice("registration", Registration.NONE)
    enabled = section.get("enabled", bool, True)
    if enabled:
        _check_possible(section)
    limits, timers = section.inner("limits"), section.inner("timers")
    channels, channels_key = section.either("channels", limits, "channels")
    cps, cps_key = section.either("cps", limits, "cps")
    session, session_key = section.either("session_expires_s", timers, "session_expires")
    uris = _uris(section, enabled)
    trunk = Trunk(
        id=name,
        name=section.get("name", str, name),
        uris=uris,
        type=kind,
        registration=registration,
        enabled=enabled,
        sandbox=_sandbox(name, section, uris),
        priority=section.whole("priority", 1, 0, 1000),
        channels=channels.whole(channels_key, 20, 1, 100_000),
        cps=cps.number(cps_key, 5.0, 0.01, 1000),
        codecs=_codecs(section),
        caller_ids=_caller_ids(section),
        auth=_auth(section, env, uris) if enabled else None,
        number_format=_number_format(section),
        rtp=_rtp(section),
        bind_address=_bind_address(section, uris, facing) if enabled else section.get("bind_address", str, "127.0.0.1"),
        public_address=_address(section, "public_address") if "public_address" in section.values else None,
        session_expires_s=session.whole(session_key, SESSION_EXPIRES_MIN_S, SESSION_EXPIRES_MIN_S, 86_400),
        headers=_headers(section),
    )
    _try_out(section, trunk)
    return trunk


def _check_keys(section: Section) -> None:
    section.only(_KEYS[""])
    for key, known in _KEYS.items():
        if key == "uris":
            for uri in _uri_sections(section):
                uri.only(known)
        elif key:
            section.inner(key).only(known)


def _check_possible(section: Section) -> None:
    for path, (only, sentence) in _NOT_YET.items():
        table, _, key = path.rpartition(".")
        values = section.inner(table) if table else section
        if key in values.values and values.values[key] != only:
            raise values.error(key, f"{sentence}. Set enabled = false to keep the trunk in the file")


def _uri_sections(section: Section) -> list[Section]:
    tables = section.get("uris", list, [])
    if not all(isinstance(table, dict) for table in tables):
        raise section.error("uris", "has to be a list of tables { host = … }")
    return [Section(section.file, f"{section.table}.uris[{number}]", uri) for number, uri in enumerate(tables)]


def _uris(section: Section, enabled: bool) -> tuple[TrunkUri, ...]:
    full = _uri_sections(section)
    if full and "host" in section.values:
        raise section.error("host", "stands in uris too; say it once")
    if not full and "host" not in section.values:
        raise section.error("host", 'is missing: where does the trunk listen? host = "sip.example.net"')
    uris = tuple(_uri(uri, enabled) for uri in (full or [section]))
    if enabled and not any(uri.enabled for uri in uris):
        raise section.error("uris", "every uri is disabled")
    return uris


def _uri(section: Section, enabled: bool) -> TrunkUri:
    host, port = _host_and_port(section)
    transport = section.choice("transport", Transport.UDP)
    if enabled and transport is not Transport.UDP:
        raise section.error("transport", f"{_NOT_YET['tls'][1]}. Set enabled = false to keep the trunk in the file")
    if not section.table.endswith("]"):  # the short form: priority and enabled are the trunk's
        return TrunkUri(host, port, transport)
    return TrunkUri(
        host=host,
        port=port,
        transport=transport,
        priority=section.whole("priority", 1, 0, 1000),
        weight=section.whole("weight", 100, 0, 1000),
        enabled=section.get("enabled", bool, True),
    )


def _host_and_port(section: Section) -> tuple[str, int]:
    """`sip.example.net`, `127.0.0.1:5070`, `[2001:db8::1]:5060`."""
    text = section.get("host", str, "")
    host, colon, port_text = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host.strip("[]") and not host.endswith("]")):
        host, port_text = text, ""
    host = host.removeprefix("[").removesuffix("]")
    if not is_host(host):
        raise section.error("host", "has to be a DNS name or an address, with :port at most")
    if port_text and "port" in section.values:
        raise section.error("port", "stands in host too; say it once")
    if port_text and not (port_text.isascii() and port_text.isdecimal() and 0 < int(port_text) < 65536):
        raise section.error("host", "has a port that is not between 1 and 65535")
    return host, int(port_text) if port_text else section.whole("port", 5060, 1, 65535)


def _sandbox(name: str, section: Section, uris: tuple[TrunkUri, ...]) -> bool:
    sandbox = section.get("sandbox", bool, False)
    if sandbox and not all(_is_loopback(uri.host) for uri in uris):
        raise section.error("sandbox", "a sandbox trunk is on loopback: no real phone may ring")
    if name == "sandbox" and not sandbox:
        raise section.error("", "the name sandbox is taken by the catch-all phone")
    return sandbox


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _codecs(section: Section) -> tuple[str, ...]:
    codecs = section.words("codecs", ("PCMA", "PCMU"))
    if not codecs or len(set(codecs)) != len(codecs) or not set(codecs) <= set(CODECS):
        raise section.error("codecs", f"has to be some of {', '.join(CODECS)}, each once, the preferred one first")
    return codecs


def _caller_ids(section: Section) -> tuple[str, ...]:
    where, key = section.either("caller_ids", section.inner("caller_id"), "numbers")
    found = [_NUMBER.fullmatch(number) for number in where.words(key)]
    numbers = [match[1] for match in found if match]
    if len(numbers) != len(found) or len(set(numbers)) != len(numbers):
        raise where.error(key, "has to be international numbers, digits only, each once: 2347080670000")
    return tuple(numbers)


def _auth(section: Section, env: Mapping[str, str], uris: tuple[TrunkUri, ...]) -> Credentials | None:
    full = section.inner("auth")
    username, username_key = section.either("username", full, "username")
    realm, realm_key = section.either("realm", full, "realm")
    if "password" in full.values and "password_ref" in full.values:
        raise full.error("password", "stands in password_ref too; say it once")
    password, password_key = section.either(
        "password", full, "password_ref" if "password_ref" in full.values else "password"
    )
    given = [where.values.get(key) is not None for where, key in ((username, username_key), (password, password_key))]
    if not any(given):
        if realm_key in realm.values:
            raise realm.error(realm_key, "means nothing without username and password")
        return None
    if not all(given):
        raise section.error("password" if given[0] else "username", "is missing: a login is a username and a password")
    said = realm.get(realm_key, str, uris[0].host)
    if said in ("", "*"):
        raise realm.error(realm_key, "has to be the realm the trunk challenges with; * would answer anybody")
    return Credentials(username.get(username_key, str, ""), said, _secret(password, password_key, env))


def _secret(section: Section, key: str, env: Mapping[str, str]) -> str:
    """`{ file = … }`, `{ env = … }`, or `{ plain = … }`, which is told to the log. A bare text is refused."""
    ref = section.values[key]
    if not isinstance(ref, dict) or len(ref) != 1 or not all(isinstance(value, str) for value in ref.values()):
        raise section.error(
            key, 'has to be { file = "/run/secrets/x" } or { env = "NAME" }: secrets stay out of this file'
        )
    inner = section.inner(key)
    inner.only(("file", "env", "plain"))
    ((kind, value),) = ref.items()
    secret: str
    if kind == "plain":
        _warn_of_plain_password(section.file, section.table)
        secret = value
    elif kind == "env":
        secret = env.get(value, "")
    else:
        secret = _file(inner, section.file.parent / value)
    if not secret or not secret.isprintable():
        raise inner.error(kind, "gives no password (empty, missing, or not one line of text)")
    return secret


@functools.cache
def _warn_of_plain_password(file: Path, table: str) -> None:
    """Once, however often the file is read; processes forked from one that has said it keep quiet as well."""
    log.warning("trunk file %s: a password stands in [%s]; move it to a file or the environment", file, table)


def _file(section: Section, path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return handle.read(SECRET_MAX).decode("utf-8").strip("\r\n")
    except OSError as error:
        raise section.error("file", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise section.error("file", "is not text") from None


def _number_format(section: Section) -> NumberFormat:
    inner = section.inner("number_format")
    return NumberFormat(
        out=inner.get("out", str, "e164"),
        country=inner.get("country", str, "") or None,
        strip=inner.get("strip", str, ""),
        prefix=inner.get("prefix", str, ""),
    )


def _rtp(section: Section) -> Rtp:
    inner = section.inner("rtp")
    base = inner.whole("port_base", 0, 0, 65_000)
    if base % 2 or 0 < base < 1024:
        raise inner.error("port_base", "has to be even and at least 1024, or 0: free ports")
    return Rtp(inner.number("timeout_s", 30.0, 1, 3600), inner.get("required", bool, False), base)


def _headers(section: Section) -> tuple[tuple[str, str], ...]:
    values = section.get("headers", dict, {})
    if not all(isinstance(value, str) for value in values.values()):
        raise section.error("headers", "has to be a table of texts")
    return tuple(values.items())


def _address(section: Section, key: str) -> str:
    text = section.get(key, str, "")
    try:
        return str(ip_address(text))
    except ValueError:
        raise section.error(key, "has to be an address of this machine, as digits") from None


def _bind_address(section: Section, uris: tuple[TrunkUri, ...], facing: Callable[[str], str]) -> str:
    if "bind_address" in section.values:
        return _address(section, "bind_address")
    if all(_is_loopback(uri.host) for uri in uris):
        return "127.0.0.1"
    try:
        return facing(next(uri.host for uri in uris if not _is_loopback(uri.host)))
    except OSError as error:
        raise section.error("bind_address", "is missing, and no route leads to the trunk: give our address") from error


def _our_address_towards(host: str) -> str:
    """The kernel's choice of our address: connecting a UDP socket looks a route up and sends nothing.

    A name is not resolved here; the default route (that to 192.0.2.1, RFC 5737) is taken for it.
    """
    try:
        target = ip_address(host)
    except ValueError:
        target = ip_address("192.0.2.1")
    family = socket.AF_INET6 if target.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((str(target), 9))
        address: str = probe.getsockname()[0]
    return address


def _try_out(section: Section, trunk: Trunk) -> None:
    """Write one URI and the headers now: what cannot be written then is an error here."""
    try:
        headers("call_check", trunk)
    except UriError as error:
        raise section.error("headers", str(error)) from error
    try:
        number = ((trunk.number_format.country or "234") + "8020000000")[:15]  # to try the format with, not to dial
        request_uri(number, trunk, trunk.uris[0])
    except UriError as error:
        raise section.inner("number_format").error("", str(error)) from error
