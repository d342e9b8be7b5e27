"""The parts of a trunk, each read from its table. What a part alone can get wrong is refused here."""

import re
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

from sip.causes import Cause
from sip.outcomes import NEVER_NEXT_TRUNK, of_answer
from sip.trunk import (
    Failover,
    Inbound,
    NumberFormat,
    OnForbidden,
    Opening,
    OptionsPing,
    Register,
    Rtp,
    Timers,
    Tls,
)
from sip.trunk_section import Section
from sip.uri import is_host

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SAY_MAX = 1000  # characters, as of any message
PREFIXES_MAX = 1000
NETWORKS_MAX = 64
TAGS_MAX = 32
TAG_MAX = 64  # characters

_USER = re.compile(r"[A-Za-z0-9._+-]{0,64}")
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
_PREFIX = re.compile(r"[1-9][0-9]{0,14}")
_NEVER_CAUSES = frozenset(of_answer(code).cause for code in NEVER_NEXT_TRUNK)


def host_and_port(section: Section, key: str, default_port: int | None) -> tuple[str, int | None]:
    """`sip.example.net`, `127.0.0.1:5070`, `[2001:db8::1]:5060`. `default_port`: when none is written."""
    text = section.get(key, str, "")
    host, colon, port_text = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host.strip("[]") and not host.endswith("]")):
        host, port_text = text, ""
    host = host.removeprefix("[").removesuffix("]")
    if not is_host(host):
        raise section.error(key, "has to be a DNS name or an address, with :port at most")
    if not port_text:
        return host, default_port
    if not (port_text.isascii() and port_text.isdecimal() and 0 < int(port_text) < 65536):
        raise section.error(key, "has a port that is not between 1 and 65535")
    return host, int(port_text)


def place(section: Section, key: str) -> str:
    """A host or host:port as it stands there; empty when it does not."""
    text = section.get(key, str, "")
    if text:
        host_and_port(section, key, None)
    return text


def register(section: Section) -> Register:
    inner = section.inner("register")
    retry = inner.inner("retry")
    contact = inner.get("contact", str, "")
    if not _USER.fullmatch(contact):
        raise inner.error("contact", "is the user part of our address: letters, digits and . _ + -, at most 64")
    base = retry.number("base_s", 5.0, 1, 3600)
    longest = retry.number("max_s", 300.0, 1, 86_400)
    if longest < base:
        raise retry.error("max_s", "is less than base_s")
    return Register(
        registrar=place(inner, "registrar"),
        expires_s=inner.whole("expires", 300, 30, 86_400),
        contact=contact,
        retry_base_s=base,
        retry_max_s=longest,
        forbidden=inner.choice("forbidden", OnForbidden.STOP),
    )


def tls(section: Section, *, now: bool) -> Tls:
    """`now`: its files have to be there. Those of a disabled trunk may come later."""
    inner = section.inner("tls")
    return Tls(
        verify=inner.get("verify", bool, True),
        ca=_pem(inner, "ca", now),
        client_cert=_pem(inner, "client_cert", now),
    )


def _pem(section: Section, key: str, has_to_be_there: bool) -> str:
    """A file with certificates, from the trunk file's folder on; absolute, so that every process finds it."""
    text = section.get(key, str, "")
    if not text:
        return ""
    if "\0" in text or len(text) > 1024:
        raise section.error(key, "is no path of a file")
    path = (section.file.parent if section.file else Path()) / text
    if section.file is None and not path.is_absolute():
        raise section.error(key, "has to be the whole path of a file, from / on")
    if has_to_be_there:
        try:
            with path.open("rb") as file:
                first = file.read(1)
        except OSError as error:
            raise section.error(key, f"cannot be read: {error.strerror}") from None
        if not first:
            raise section.error(key, "is empty: nobody could be believed")
    return str(path.absolute())


def inbound(section: Section) -> Inbound:
    inner = section.inner("inbound")
    acl = _networks(inner, "acl")
    say = inner.get("say", str, "")
    if len(say) > SAY_MAX:
        raise inner.error("say", f"is longer than {SAY_MAX} characters")
    return Inbound(tuple(map(str, acl)), inner.whole("port", 5060, 1, 65_535), say)


def _networks(section: Section, key: str) -> tuple[IPv4Network | IPv6Network, ...]:
    texts = section.words(key)
    if len(texts) > NETWORKS_MAX:
        raise section.error(key, f"has more than {NETWORKS_MAX} networks")
    try:
        return tuple(map(ip_network, texts))
    except ValueError:
        raise section.error(key, "has to be networks in CIDR: 192.0.2.0/24, 2001:db8::/32") from None


def options_ping(section: Section) -> OptionsPing | None:
    if "options_ping" not in section.values:
        return None
    inner = section.inner("options_ping")
    codes = inner.get("ok_codes", list, [])
    if not all(isinstance(code, int) and not isinstance(code, bool) and 200 <= code <= 699 for code in codes):
        raise inner.error("ok_codes", "has to be final SIP answers, 200 to 699")
    return OptionsPing(
        interval_s=inner.number("interval_s", 30.0, 1, 3600),
        fail_after=inner.whole("fail_after", 5, 1, 100),
        recover_after=inner.whole("recover_after", 2, 1, 100),
        ok_codes=tuple(codes),
    )


def failover(section: Section) -> Failover:
    inner = section.inner("failover")
    return Failover(
        on=_reasons(inner, "on", never=True),
        never_on=_reasons(inner, "never_on", never=False),
        max_hops=inner.whole("max_hops", 3, 0, 10),
        total_budget_ms=inner.whole("total_budget_ms", 30_000, 100, 300_000),
    )


def _reasons(section: Section, key: str, *, never: bool) -> tuple[str, ...]:
    """SIP codes and causes. `never`: those of somebody who answered are refused: no other trunk is theirs."""
    found = []
    for item in section.get(key, list, []):
        text = str(item) if isinstance(item, int) and not isinstance(item, bool) else item
        is_code = (
            isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) == 3 and 300 <= int(text) <= 699
        )
        if not is_code and text not in list(Cause):
            raise section.error(key, "has to be SIP answers from 300 to 699, and causes as in tocsin explain")
        if never and (int(text) in NEVER_NEXT_TRUNK if is_code else Cause(text) in _NEVER_CAUSES):
            codes = ", ".join(map(str, sorted(NEVER_NEXT_TRUNK)))
            raise section.error(key, f"a person said no: after {codes} nobody is rung again by another trunk")
        found.append(str(text))
    if len(set(found)) != len(found):
        raise section.error(key, "names one twice")
    return tuple(found)


def timers(section: Section) -> Timers:
    inner = section.inner("timers")
    found = Timers(t1_ms=inner.whole("t1", 500, 50, 5000), b_ms=inner.whole("b", 32_000, 1000, 64_000))
    if found.b_ms < 2 * found.t1_ms:
        raise inner.error("b", "is over before t1 has sent the INVITE a second time")
    return found


def schedule(section: Section) -> tuple[Opening, ...]:
    return tuple(_opening(inner) for inner in section.each("schedule"))


def _opening(section: Section) -> Opening:
    days = section.words("days")
    if len(set(days)) != len(days) or not set(days) <= set(DAYS):
        raise section.error("days", f"has to be some of {', '.join(DAYS)}, each once")
    hours = {}
    for key, default in (("from", "00:00"), ("to", "24:00")):
        hours[key] = section.get(key, str, default)
        if not _CLOCK.fullmatch(hours[key]):
            raise section.error(key, 'has to be a time of day, as in "08:30"; the day ends at "24:00"')
    if hours["from"] == hours["to"] or hours["from"] == "24:00":
        raise section.error("from", "is never open: from and to have to differ")
    zone = section.get("timezone", str, "UTC")
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder's name is an OSError
        raise section.error("timezone", "there is no such time zone; Africa/Lagos is one") from None
    return Opening(days, hours["from"], hours["to"], zone)


def money(section: Section, key: str, default: str) -> str:
    """A decimal, as text so that nothing is rounded; whole numbers may stand without quotes."""
    value = section.values.get(key, default)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if text == "" and default == "":
        return ""
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise section.error(key, 'has to be an amount in quotes: "0.0125"')
    return format(Decimal(text), "f")


def prefixes(section: Section) -> tuple[str, ...]:
    found = section.words("prefixes")
    if len(found) > PREFIXES_MAX or len(set(found)) != len(found) or not all(map(_PREFIX.fullmatch, found)):
        raise section.error("prefixes", f"has to be international digits, each once, at most {PREFIXES_MAX}")
    return found


def tags(section: Section) -> tuple[str, ...]:
    found = section.words("tags")
    if len(found) > TAGS_MAX or not all(0 < len(tag) <= TAG_MAX and tag.isprintable() for tag in found):
        raise section.error("tags", f"has to be at most {TAGS_MAX} words of at most {TAG_MAX} printable characters")
    return found


def number_format(section: Section) -> NumberFormat:
    inner = section.inner("number_format")
    return NumberFormat(
        out=inner.get("out", str, "e164"),
        country=inner.get("country", str, "") or None,
        strip=inner.get("strip", str, ""),
        prefix=inner.get("prefix", str, ""),
    )


def rtp(section: Section) -> Rtp:
    inner = section.inner("rtp")
    base, last = inner.whole("port_base", 0, 0, 65_000), 0
    if base % 2 or 0 < base < 1024:
        raise inner.error("port_base", "has to be even and at least 1024, or 0: free ports")
    if "ports" in inner.values and inner.get("ports", list, []):
        if base:
            raise inner.error("port_base", "stands in ports too; say it once")
        base, last = _range(inner)
    return Rtp(
        timeout_s=inner.number("timeout_s", 30.0, 1, 3600),
        required=inner.get("required", bool, False),
        port_base=base,
        port_last=last,
        symmetric=inner.get("symmetric", bool, True),
        sources=_media_networks(inner),
    )


def _media_networks(section: Section) -> tuple[str, ...]:
    found = _networks(section, "from")
    if not all(isinstance(one, IPv4Network) and int(one.network_address) for one in found):
        raise section.error("from", "has to be IPv4, and not everybody: the filter on our media sockets knows no more")
    return tuple(map(str, found))


def _range(section: Section) -> tuple[int, int]:
    ports = section.get("ports", list, [])
    if len(ports) != 2 or not all(isinstance(port, int) and not isinstance(port, bool) for port in ports):
        raise section.error("ports", "has to be the first and the last port: [30000, 30999]")
    first, last = ports
    if first % 2 or not 1024 <= first < last <= 65_535:
        raise section.error("ports", "has to begin even, at 1024 or above, and end above that, at 65535 at most")
    return first, last


def headers(section: Section) -> tuple[tuple[str, str], ...]:
    values = section.get("headers", dict, {})
    if not all(isinstance(value, str) for value in values.values()):
        raise section.error("headers", "has to be a table of texts")
    return tuple(values.items())
