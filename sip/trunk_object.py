"""The trunk object of the API, both ways: a Trunk as JSON without its secrets, and back with the checks of the file."""

from collections.abc import Callable, Mapping
from typing import Any

from sip.trunk import Credentials, Opening, OptionsPing, Trunk
from sip.trunk_reading import Said, Surroundings, our_address_towards, read_trunk
from sip.trunk_section import Section

PASSWORD_MAX = 1024  # characters


def as_object(trunk: Trunk, *, binds_itself: bool = False) -> dict[str, Any]:
    """Every member, defaults too; instead of the password `password_set`. `binds_itself`: as in Said."""
    return {
        "id": trunk.id,
        "name": trunk.name,
        "type": trunk.type.value,
        "registration": trunk.registration.value,
        "enabled": trunk.enabled,
        "sandbox": trunk.sandbox,
        "priority": trunk.priority,
        "weight": trunk.weight,
        "uris": [
            {
                "host": uri.host,
                "port": uri.port,
                "transport": uri.transport.value,
                "priority": uri.priority,
                "weight": uri.weight,
                "enabled": uri.enabled,
            }
            for uri in trunk.uris
        ],
        "outbound_proxy": trunk.outbound_proxy,
        "register": {
            "registrar": trunk.register.registrar,
            "expires": trunk.register.expires_s,
            "contact": trunk.register.contact,
            "retry": {"base_s": trunk.register.retry_base_s, "max_s": trunk.register.retry_max_s},
            "forbidden": trunk.register.forbidden.value,
        },
        "auth": _auth(trunk.auth),
        "inbound": {"acl": list(trunk.inbound.acl), "port": trunk.inbound.port, "say": trunk.inbound.say},
        "tls": {"verify": trunk.tls.verify, "ca": trunk.tls.ca, "client_cert": trunk.tls.client_cert},
        "srtp": trunk.srtp.value,
        "codecs": list(trunk.codecs),
        "dtmf": trunk.dtmf.value,
        "ptime": 20,
        "options_ping": _options_ping(trunk.options_ping),
        "limits": {
            "channels": trunk.channels,
            "cps": trunk.cps,
            "alert_channels": trunk.alert_channels,
            "daily_amount": trunk.daily_amount,
            "max_rate": trunk.max_rate,
        },
        "caller_id": {
            "policy": trunk.caller_id_policy.value,
            "numbers": list(trunk.caller_ids),
            "header": trunk.caller_id_header.value,
            "privacy": trunk.privacy,
        },
        "number_format": {
            "out": trunk.number_format.out,
            "country": trunk.number_format.country,
            "strip": trunk.number_format.strip,
            "prefix": trunk.number_format.prefix,
        },
        "failover": {
            "on": list(trunk.failover.on),
            "never_on": list(trunk.failover.never_on),
            "max_hops": trunk.failover.max_hops,
            "total_budget_ms": trunk.failover.total_budget_ms,
        },
        "headers": dict(trunk.headers),
        "timers": {
            "t1": trunk.timers.t1_ms,
            "b": trunk.timers.b_ms,
            "session_expires": trunk.session_expires_s,
        },
        "rtp": _rtp(trunk),
        "stir": {"mode": "off"},
        "schedule": [_opening(opening) for opening in trunk.schedule],
        "prefixes": list(trunk.prefixes),
        "price": trunk.price,
        "bind_address": None if binds_itself else trunk.bind_address,
        "public_address": trunk.public_address,
        "tags": list(trunk.tags),
    }


def from_object(
    data: Mapping[str, Any], *, kept: Credentials | None = None, facing: Callable[[str], str] | None = None
) -> Said:
    """The trunk that `data` says, `id` included. Raises TrunkError, whose `pointer` names the member.

    `auth.password` is a text here. Who leaves it out keeps that of `kept`, when the user name is the same. A member
    that is null counts as left out.
    """
    said = {name: value for name, value in _without_null(data).items() if name != "id"}
    auth = said.get("auth")
    if isinstance(auth, dict):
        said["auth"] = {name: value for name, value in auth.items() if name != "password_set"}
    around = Surroundings(secret=_password, facing=facing or our_address_towards, kept=kept, later=False)
    trunk_id = data.get("id")
    section = Section(None, "", said)
    if not isinstance(trunk_id, str):
        raise section.error("id", "has to be a text: a-z, 0-9 and -, at most 32 characters")
    return read_trunk(trunk_id, section, around)


def _auth(auth: Credentials | None) -> dict[str, Any] | None:
    return {"username": auth.username, "realm": auth.realm, "password_set": True} if auth else None


def _options_ping(ping: OptionsPing | None) -> dict[str, Any] | None:
    if ping is None:
        return None
    return {
        "interval_s": ping.interval_s,
        "fail_after": ping.fail_after,
        "recover_after": ping.recover_after,
        "ok_codes": list(ping.ok_codes),
    }


def _rtp(trunk: Trunk) -> dict[str, Any]:
    rtp = trunk.rtp
    return {
        "timeout_s": rtp.timeout_s,
        "required": rtp.required,
        "port_base": 0 if rtp.port_last else rtp.port_base,
        "ports": [rtp.port_base, rtp.port_last] if rtp.port_last else [],
        "symmetric": rtp.symmetric,
        "from": list(rtp.sources),
    }


def _opening(opening: Opening) -> dict[str, Any]:
    return {"days": list(opening.days), "from": opening.start, "to": opening.end, "timezone": opening.timezone}


def _without_null(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _cleaned(value) for name, value in data.items() if value is not None}


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return _without_null(value)
    return [_cleaned(one) for one in value] if isinstance(value, list) else value


def _password(section: Section, key: str) -> str:
    """A text. References belong to files: over the API they would read files and variables of the server."""
    secret = section.values[key]
    if key == "password_ref" or not isinstance(secret, str):
        raise section.error(key, "has to be the password itself, as text; references are for the trunk file")
    if not secret or len(secret) > PASSWORD_MAX or not secret.isprintable():
        raise section.error(key, "has to be one line of text")
    return secret
