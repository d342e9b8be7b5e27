"""From what was said of a trunk to a Trunk: the one path for the trunk file and for the API.

A key we do not know is an error. A key we know and cannot honour is an error too, unless the trunk is disabled: a trunk
that silently ignored `srtp = "required"` would be worse than none.
"""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from sip import trunk_parts as parts
from sip.trunk import (
    CallerIdHeader,
    CallerIdPolicy,
    Credentials,
    DtmfWay,
    Registration,
    Srtp,
    Transport,
    Trunk,
    TrunkType,
    TrunkUri,
)
from sip.trunk_section import Section
from sip.uri import UriError, headers, request_uri

CODECS = ("PCMA", "PCMU", "G722")
SESSION_EXPIRES_MIN_S = 90  # RFC 4028 section 4
NAME_MAX = 100  # characters
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_NUMBER = re.compile(r"\+?([1-9][0-9]{6,14})")
_PORTS = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061}  # RFC 3261 section 19.1.2

# Every key there is, by table. The short form stands in the first line.
KEYS: dict[str, tuple[str, ...]] = {
    "": (
        *("host", "port", "transport", "username", "realm", "password", "caller_ids", "channels", "cps"),
        *("name", "type", "registration", "enabled", "sandbox", "priority", "weight", "uris", "outbound_proxy"),
        *("register", "auth", "inbound", "tls", "srtp", "codecs", "dtmf", "ptime", "options_ping", "limits"),
        *("caller_id", "number_format", "failover", "headers", "timers", "rtp", "stir", "schedule", "tags"),
        *("bind_address", "public_address", "session_expires_s", "prefixes", "price"),
    ),
    "uris": ("host", "port", "transport", "priority", "weight", "enabled"),
    "register": ("registrar", "expires", "contact", "retry", "forbidden"),
    "register.retry": ("base_s", "max_s"),
    "auth": ("username", "realm", "password", "password_ref"),
    "inbound": ("acl", "port", "say", "auth"),
    "tls": ("verify", "ca", "client_cert"),
    "options_ping": ("interval_s", "fail_after", "recover_after", "ok_codes"),
    "limits": ("channels", "cps", "alert_channels", "daily_amount", "max_rate"),
    "caller_id": ("policy", "numbers", "header", "privacy"),
    "number_format": ("out", "country", "strip", "prefix"),
    "failover": ("on", "never_on", "max_hops", "total_budget_ms"),
    "timers": ("t1", "b", "session_expires"),
    "rtp": ("timeout_s", "required", "port_base", "ports", "symmetric", "from"),
    "stir": ("mode", "cert_ref"),
    "schedule": ("days", "from", "to", "timezone"),
}
_LISTS = ("uris", "schedule")  # of tables

# What cannot be done: key -> the only values it can honour, and the sentence.
_IMPOSSIBLE: dict[str, tuple[tuple[object, ...], str]] = {
    "type": (("static", "register"), "this release takes no registrations of others; use static or register"),
    "ptime": ((20,), "PJSIP as we have it sends 20 ms packets only"),
    "inbound.auth": (("",), "callers are known by their address: inbound.acl"),
    "stir.mode": (("off",), "this release does not sign caller ids"),
    "stir.cert_ref": (("",), "this release does not sign caller ids"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """A trunk that was said, and what only its words tell.

    `binds_itself`: no `bind_address` was given. The one in `trunk` faces the trunk from this machine; another machine
    has another one.
    """

    trunk: Trunk
    binds_itself: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What reading a trunk needs beside its words.

    `secret` gives the password that a table's key stands for. `kept`: the login that is stored already; who repeats its
    user name may leave its password out. `facing(host)` is the address of our interface towards a host. `later`: a
    disabled trunk may have its secrets later. `files_are_here`: the files that the trunk names have to be on this
    machine now.
    """

    secret: Callable[[Section, str], str]
    facing: Callable[[str], str]
    kept: Credentials | None = None
    later: bool = True
    files_are_here: bool = True


def read_trunk(trunk_id: str, section: Section, around: Surroundings) -> Said:
    """Raises TrunkError."""
    if not _ID.fullmatch(trunk_id):
        raise section.error("id" if section.file is None else "", "a name is a-z, 0-9 and -, at most 32 characters")
    _check_keys(section)
    _check_unused(section)
    enabled = section.get("enabled", bool, True)
    if enabled:
        _check_possible(section)
    limits, timers, caller_id = section.inner("limits"), section.inner("timers"), section.inner("caller_id")
    channels, channels_key = section.either("channels", limits, "channels")
    cps, cps_key = section.either("cps", limits, "cps")
    session, session_key = section.either("session_expires_s", timers, "session_expires")
    kind = section.choice("type", TrunkType.STATIC)
    uris = _uris(section, enabled)
    bind, binds_itself = _bind_address(section, uris, around.facing) if enabled else _bind_address_of_disabled(section)
    trunk = Trunk(
        id=trunk_id,
        name=_name(section, trunk_id),
        uris=uris,
        type=kind,
        registration=_registration(section, kind),
        enabled=enabled,
        sandbox=_sandbox(trunk_id, section, uris),
        priority=section.whole("priority", 1, 0, 1000),
        channels=channels.whole(channels_key, 20, 1, 100_000),
        cps=cps.number(cps_key, 5.0, 0.01, 1000),
        alert_channels=limits.whole("alert_channels", 0, 0, 100_000) if "alert_channels" in limits.values else None,
        codecs=_codecs(section),
        caller_ids=_caller_ids(section),
        auth=_auth(section, around, uris) if enabled or not around.later else None,
        number_format=parts.number_format(section),
        rtp=parts.rtp(section),
        bind_address=bind,
        public_address=_address(section, "public_address") if "public_address" in section.values else None,
        session_expires_s=session.whole(session_key, SESSION_EXPIRES_MIN_S, SESSION_EXPIRES_MIN_S, 86_400),
        headers=parts.headers(section),
        weight=section.whole("weight", 100, 0, 1000),
        outbound_proxy=parts.place(section, "outbound_proxy"),
        register=parts.register(section),
        tls=parts.tls(section, now=enabled and around.files_are_here),
        srtp=section.choice("srtp", Srtp.OFF),
        dtmf=section.choice("dtmf", DtmfWay.RFC4733),
        inbound=parts.inbound(section),
        options_ping=parts.options_ping(section),
        caller_id_policy=caller_id.choice("policy", CallerIdPolicy.POOL),
        caller_id_header=caller_id.choice("header", CallerIdHeader.FROM),
        privacy=caller_id.get("privacy", bool, False),
        failover=parts.failover(section),
        timers=parts.timers(section),
        schedule=parts.schedule(section),
        prefixes=parts.prefixes(section),
        price=parts.money(section, "price", "0"),
        daily_amount=parts.money(limits, "daily_amount", ""),
        max_rate=parts.money(limits, "max_rate", ""),
        tags=parts.tags(section),
    )
    _try_out(section, trunk)
    if enabled:
        _check_together(section, trunk)
    return Said(trunk, binds_itself, _warnings(section, trunk))


def _check_keys(section: Section) -> None:
    section.only(KEYS[""])
    for path, known in KEYS.items():
        if path in _LISTS:
            for inner in section.each(path):
                inner.only(known)
        elif path:
            _at(section, path).only(known)


def _check_unused(section: Section) -> None:
    """What becomes no part of the trunk still has to be what it says it is."""
    section.whole("ptime", 20, 1, 1000)
    for path in ("stir.mode", "stir.cert_ref", "inbound.auth"):
        table, _, key = path.rpartition(".")
        section.inner(table).get(key, str, "")


def _at(section: Section, path: str) -> Section:
    for key in path.split("."):
        section = section.inner(key)
    return section


def _check_possible(section: Section) -> None:
    for path, (possible, sentence) in _IMPOSSIBLE.items():
        table, _, key = path.rpartition(".")
        values = _at(section, table) if table else section
        if key in values.values and values.values[key] not in possible:
            if path == "type" and values.values[key] not in list(TrunkType):
                continue  # no type at all: that is told where it is read
            raise values.error(key, f"{sentence}. Set enabled = false to keep the trunk without using it")


def _check_together(section: Section, trunk: Trunk) -> None:
    """Members that are right each by itself, and not together."""
    is_tls = all(uri.transport is Transport.TLS for uri in trunk.uris)
    if trunk.srtp is not Srtp.OFF and not is_tls:
        raise section.error(
            "srtp", 'needs transport = "tls" at every uri: its keys stand in the SDP, and anybody on the way reads them'
        )
    comes_to_us = trunk.inbound.acl and trunk.type is not TrunkType.REGISTER  # else over the connection that we opened
    if comes_to_us and is_tls and not trunk.tls.client_cert:
        raise section.inner("tls").error(
            "client_cert",
            "is missing: calls come in over TLS (inbound.acl), and whoever opens a connection to us checks it",
        )
    if trunk.type is TrunkType.REGISTER and trunk.auth is None:
        raise section.error("username", "is missing: whoever registers needs a login, a user name and a password")
    if trunk.caller_id_policy is CallerIdPolicy.FIXED and not trunk.caller_ids:
        raise section.inner("caller_id").error("numbers", 'is missing: policy "fixed" shows the first of them')


def _warnings(section: Section, trunk: Trunk) -> tuple[str, ...]:
    found = []
    if trunk.auth and any(uri.transport is Transport.UDP and not _is_loopback(uri.host) for uri in trunk.uris):
        found.append("the login goes over UDP: whoever listens on the way can try passwords; tls hides it")
    if any(uri.transport is Transport.TLS for uri in trunk.uris) and not trunk.tls.verify:
        found.append("tls.verify is false: anybody on the way can play the trunk")
    full = section.inner("auth")
    for where, key in ((section, "password"), (full, "password"), (full, "password_ref")):
        ref = where.values.get(key)
        if isinstance(ref, dict) and "plain" in ref:
            found.append("a password stands in the file; move it to a file of its own or to the environment")
    return tuple(found)


def _name(section: Section, trunk_id: str) -> str:
    name = section.get("name", str, trunk_id)
    if not 0 < len(name) <= NAME_MAX or not name.isprintable():
        raise section.error("name", f"has to be 1 to {NAME_MAX} printable characters")
    return name


def _registration(section: Section, kind: TrunkType) -> Registration:
    if kind is not TrunkType.REGISTER:
        found = section.choice("registration", Registration.NONE)
        if found is not Registration.NONE:
            raise section.error("registration", 'belongs to type = "register"')
        return found
    found = section.choice("registration", Registration.ONE)
    if found is Registration.NONE:
        raise section.error("registration", 'a trunk of type "register" registers: one or every_line')
    return found


def _uris(section: Section, enabled: bool) -> tuple[TrunkUri, ...]:
    full = section.each("uris")
    if full and "host" in section.values:
        raise section.error("host", "stands in uris too; say it once")
    if not full and "host" not in section.values:
        raise section.error("host", 'is missing: where does the trunk listen? host = "sip.example.net"')
    uris = tuple(_uri(uri) for uri in full) if full else (_short_uri(section),)
    if enabled and not any(uri.enabled for uri in uris):
        raise section.error("uris", "every uri is disabled")
    return uris


def _short_uri(section: Section) -> TrunkUri:
    transport = section.choice("transport", Transport.UDP)
    return TrunkUri(*_host_and_port(section, transport), transport)  # priority and enabled are the trunk's


def _uri(section: Section) -> TrunkUri:
    transport = section.choice("transport", Transport.UDP)
    host, port = _host_and_port(section, transport)
    return TrunkUri(
        host=host,
        port=port,
        transport=transport,
        priority=section.whole("priority", 1, 0, 1000),
        weight=section.whole("weight", 100, 0, 1000),
        enabled=section.get("enabled", bool, True),
    )


def _host_and_port(section: Section, transport: Transport) -> tuple[str, int]:
    host, port = parts.host_and_port(section, "host", None)
    if port and "port" in section.values:
        raise section.error("port", "stands in host too; say it once")
    return host, port or section.whole("port", _PORTS[transport], 1, 65535)


def _sandbox(trunk_id: str, section: Section, uris: tuple[TrunkUri, ...]) -> bool:
    sandbox = section.get("sandbox", bool, False)
    if sandbox and not all(_is_loopback(uri.host) for uri in uris):
        raise section.error("sandbox", "a sandbox trunk is on loopback: no real phone may ring")
    if trunk_id == "sandbox" and not sandbox:
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


def _auth(section: Section, around: Surroundings, uris: tuple[TrunkUri, ...]) -> Credentials | None:
    full = section.inner("auth")
    username, username_key = section.either("username", full, "username")
    realm, realm_key = section.either("realm", full, "realm")
    if "password" in full.values and "password_ref" in full.values:
        raise full.error("password", "stands in password_ref too; say it once")
    password, password_key = section.either(
        "password", full, "password_ref" if "password_ref" in full.values else "password"
    )
    has_name, has_password = username_key in username.values, password_key in password.values
    if not has_name and not has_password:
        if realm_key in realm.values:
            raise realm.error(realm_key, "means nothing without username and password")
        return None
    name = username.get(username_key, str, "")
    kept = around.kept if around.kept and around.kept.username == name and not has_password else None
    if not has_name or not (has_password or kept):
        raise section.error("password" if has_name else "username", "is missing: a login is a username and a password")
    if not name or not name.isprintable() or '"' in name or len(name) > 128:
        raise username.error(username_key, "has to be 1 to 128 printable characters, without quotes")
    said = realm.get(realm_key, str, uris[0].host)
    if said in ("", "*") or not said.isprintable() or '"' in said or len(said) > 256:
        raise realm.error(realm_key, "has to be the realm the trunk challenges with; * would answer anybody")
    return Credentials(name, said, kept.password if kept else around.secret(password, password_key))


def _address(section: Section, key: str) -> str:
    text = section.get(key, str, "")
    try:
        return str(ip_address(text))
    except ValueError:
        raise section.error(key, "has to be an address of this machine, as digits") from None


def _bind_address(section: Section, uris: tuple[TrunkUri, ...], facing: Callable[[str], str]) -> tuple[str, bool]:
    if "bind_address" in section.values:
        return _address(section, "bind_address"), False
    try:
        return bind_address_towards(uris, facing), True
    except OSError as error:
        raise section.error("bind_address", "is missing, and no route leads to the trunk: give our address") from error


def _bind_address_of_disabled(section: Section) -> tuple[str, bool]:
    return section.get("bind_address", str, "127.0.0.1"), "bind_address" not in section.values


def bind_address_towards(uris: tuple[TrunkUri, ...], facing: Callable[[str], str] | None = None) -> str:
    """Our address towards the first of `uris` that is not on loopback. Raises OSError when no route leads there."""
    far = [uri.host for uri in uris if not _is_loopback(uri.host)]
    return (facing or our_address_towards)(far[0]) if far else "127.0.0.1"


def our_address_towards(host: str) -> str:
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
