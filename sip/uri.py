"""Digits and a trunk in, SIP URIs and headers out: the only place where either is written.

Nothing that a user writes gets here: numbers are digits by now, hosts and headers come from the operator's trunk file,
and whatever is not of the narrow grammar below is refused (RFC 3261 section 25.1 allows far more than a phone needs).
A test feeds it generated strings and reads the result with a grammar of its own.
"""

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from sip.trunk import NumberFormat, Transport, Trunk, TrunkUri

CALL_ID_HEADER = "X-Call-Id"
HEADERS_MAX = 16
HEADER_VALUE_MAX = 256  # characters
HEADERS_BYTES_MAX = 800  # the INVITE, SDP included, has to fit one UDP datagram of about 1300 bytes
WIRE_MAX = 32  # 15 digits of E.164 (ITU-T E.164 section 6), a prefix, and room

_DIGITS = re.compile(r"[0-9]{3,15}")
_PREFIX = re.compile(r"\+?[0-9*]{0,16}")
_WIRE = re.compile(r"\+?[0-9*]{3,32}")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER_NAME = re.compile(r"X-[A-Za-z0-9](?:[A-Za-z0-9-]{0,60}[A-Za-z0-9])?", re.IGNORECASE)
_USER_TO_USER = "user-to-user"  # RFC 7433
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


class UriError(ValueError):
    """Something may not be written into a SIP message; the text says what, never the value itself."""


def wire_number(digits: str, how: NumberFormat) -> str:
    """The called number as this trunk wants it: `digits` are international, without a plus.

    "+e164" and "e164" with and without the plus; "00" with the international prefix; "national": numbers of `country`
    (a calling code) lose it, the others get 00; "custom": `strip` goes from the front when it is there. `prefix` is put
    in front of the result ("0" for most national plans, or a carrier's technical prefix).
    """
    if not _DIGITS.fullmatch(digits):
        raise UriError("a number is 3 to 15 ASCII digits")
    if not _PREFIX.fullmatch(how.prefix):
        raise UriError("number_format.prefix: digits and * only, at most 16, with a plus in front at most")
    wire = _formed(digits, how)
    if not _WIRE.fullmatch(wire) or len(wire) > WIRE_MAX:
        raise UriError("number_format leaves no number that can be dialled")
    return wire


def _formed(digits: str, how: NumberFormat) -> str:
    match how.out:
        case "+e164":
            return how.prefix + ("" if how.prefix else "+") + digits
        case "e164":
            return how.prefix + digits
        case "00":
            return how.prefix + "00" + digits
        case "national":
            country = how.country or ""
            if not (country.isascii() and country.isdecimal()):
                raise UriError('number_format.country: "national" needs a calling code')
            return how.prefix + digits.removeprefix(country) if digits.startswith(country) else "00" + digits
        case "custom":
            return how.prefix + digits.removeprefix(how.strip)
        case _:
            raise UriError("number_format.out: one of +e164, e164, 00, national, custom")


def request_uri(number: str, trunk: Trunk, uri: TrunkUri) -> str:
    """Where the INVITE goes: `sip:NUMBER@HOST:PORT`, transport named unless it is UDP."""
    where = f"sip:{wire_number(number, trunk.number_format)}@{_host(uri.host)}:{_port(uri.port)}"
    return where if uri.transport is Transport.UDP else f"{where};transport={uri.transport.value}"


def wire_caller_id(number: str, trunk: Trunk) -> str:
    """The caller id as it is shown to this trunk: international digits, with a plus where the trunk writes one."""
    return wire_number(number, NumberFormat(out="+e164" if trunk.number_format.out == "+e164" else "e164"))


def from_uri(number: str, trunk: Trunk) -> str:
    """Who calls: one of the trunk's own caller ids at the trunk's own host, so that no address of ours leaks.

    A trunk without `caller_ids` does not restrict them: the account's list has decided already.
    """
    if trunk.caller_ids and number not in trunk.caller_ids:
        raise UriError("the caller id is not one of this trunk's caller_ids")
    host = next((uri.host for uri in trunk.uris if uri.enabled), None)
    if host is None:
        raise UriError("the trunk has no uri that is enabled")
    return f"sip:{wire_caller_id(number, trunk)}@{_host(host)}"


def headers(call_id: str, trunk: Trunk, more: Iterable[tuple[str, str]] = ()) -> tuple[tuple[str, str], ...]:
    """Our `X-Call-Id`, then the trunk's headers, then `more`: names `X-…` or User-to-User, values printable ASCII.

    Raises UriError for anything else, for a name given twice, for X-Call-Id itself, and when they grow too long.
    """
    if not _CALL_ID.fullmatch(call_id):
        raise UriError("a call id is letters, digits, - and _, at most 64")
    found = [(CALL_ID_HEADER, call_id)]
    taken = {CALL_ID_HEADER.lower()}
    for name, value in (*trunk.headers, *more):
        _check_header(name, value)
        if name.lower() in taken:
            raise UriError(f"the header {name} is given twice, or is ours")
        taken.add(name.lower())
        found.append((name, value))
    if len(found) > HEADERS_MAX or sum(len(name) + len(value) + 4 for name, value in found) > HEADERS_BYTES_MAX:
        raise UriError(f"headers: at most {HEADERS_MAX} and {HEADERS_BYTES_MAX} bytes together")
    return tuple(found)


def _check_header(name: str, value: str) -> None:
    if not _HEADER_NAME.fullmatch(name) and name.lower() != _USER_TO_USER:
        raise UriError("a header is named X-… (letters, digits and -) or User-to-User")
    if len(value) > HEADER_VALUE_MAX or not _HEADER_VALUE.fullmatch(value):
        raise UriError(f"the header {name}: printable ASCII, at most {HEADER_VALUE_MAX} characters")


def is_host(text: str) -> bool:
    """An IPv4 address, an IPv6 address (with or without brackets), or a DNS name of letters, digits and hyphens."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare:
        return _is_ipv6(bare)
    if bare != text or not text.isascii() or len(text) > 253:
        return False
    labels = text.split(".")
    if labels[-1].isdecimal():  # a name never ends in a number: it is an address, or a mistake
        return _is_ipv4(text)
    return all(_LABEL.fullmatch(label) for label in labels)


def _is_ipv4(text: str) -> bool:
    try:
        return str(IPv4Address(text)) == text
    except AddressValueError:
        return False


def _is_ipv6(text: str) -> bool:
    try:
        return IPv6Address(text).scope_id is None
    except AddressValueError:
        return False


def _host(text: str) -> str:
    if not is_host(text):
        raise UriError("the host is neither an address nor a DNS name")
    return f"[{text}]" if ":" in text and not text.startswith("[") else text


def _port(port: int) -> int:
    if not 0 < port < 65536:
        raise UriError("the port is not between 1 and 65535")
    return port
