"""Digits and a trunk in, SIP URIs and headers out: the only place where either is written.

Nothing that a user writes gets here: numbers are digits by now, hosts and headers come from the operator's trunk file,
and whatever is not of the narrow grammar below is refused (RFC 3261 section 25.1 allows far more than a phone needs).
A test feeds it generated strings and reads the result with a grammar of its own.
"""

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from sip.trunk import CallerIdHeader, CallerIdPolicy, NumberFormat, Transport, Trunk, TrunkUri

CALL_ID_HEADER = "X-Call-Id"
ANONYMOUS = "anonymous"
HEADERS_MAX = 16
HEADER_VALUE_MAX = 256  # characters
HEADERS_BYTES_MAX = 800
INVITE_MAX = 1299  # over UDP, SDP included: RFC 3261 section 18.1.1, and some trunks answer 513 to more
_INVITE_BARE = 981  # measured with every codec, numbers of 20 digits and a private caller; without hosts and headers
_HOST_LEAST = 17  # of "anonymous.invalid"; the host stands in the request line, in To and in From
WIRE_MAX = 32  # 15 digits of E.164 (ITU-T E.164 section 6), a prefix, and room

_NOBODY = f'"Anonymous" <sip:{ANONYMOUS}@anonymous.invalid>'  # RFC 3323 section 4.1.1.3
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
    """The caller id as this trunk gets it: international digits, with a plus where the trunk writes one.

    `ANONYMOUS` when it stands nowhere in the INVITE.
    """
    shown = _shown(number, trunk)
    return ANONYMOUS if trunk.privacy and trunk.caller_id_header is CallerIdHeader.FROM else shown


def from_uri(number: str, trunk: Trunk) -> str:
    """Who calls, in From: at the trunk's own host, so that no address of ours leaks. Nobody, with `privacy` (RFC 3323).

    `caller_id_policy` decides: the first of the trunk's `caller_ids` whatever was asked, or one of them, or any. A
    pool without `caller_ids` restricts nothing: the account's list has decided already.
    """
    shown = _identity(number, trunk)
    return _NOBODY if trunk.privacy else shown


def identity_headers(number: str, trunk: Trunk) -> tuple[tuple[str, str], ...]:
    """Where else the caller id stands: P-Asserted-Identity (RFC 3325) or Remote-Party-ID, and Privacy (RFC 3323)."""
    found: list[tuple[str, str]] = []
    match trunk.caller_id_header:
        case CallerIdHeader.PAI:
            found.append(("P-Asserted-Identity", f"<{_identity(number, trunk)}>"))
        case CallerIdHeader.RPID:
            privacy = "full" if trunk.privacy else "off"
            shown = f"<{_identity(number, trunk)}>;party=calling;screen=yes;privacy={privacy}"
            found.append(("Remote-Party-ID", shown))
        case CallerIdHeader.FROM:
            pass
    if trunk.privacy:
        found.append(("Privacy", "id"))
    return tuple(found)


def _identity(number: str, trunk: Trunk) -> str:
    host = next((uri.host for uri in trunk.uris if uri.enabled), None)
    if host is None:
        raise UriError("the trunk has no uri that is enabled")
    return f"sip:{_shown(number, trunk)}@{_host(host)}"


def _shown(number: str, trunk: Trunk) -> str:
    ids = trunk.caller_ids
    if trunk.caller_id_policy is CallerIdPolicy.FIXED:
        if not ids:
            raise UriError("the trunk shows a fixed caller id and has no caller_ids")
        number = ids[0]
    elif trunk.caller_id_policy is CallerIdPolicy.POOL and ids and number not in ids:
        raise UriError("the caller id is not one of this trunk's caller_ids")
    return wire_number(number, NumberFormat(out="+e164" if trunk.number_format.out == "+e164" else "e164"))


def headers(
    call_id: str, trunk: Trunk, more: Iterable[tuple[str, str]] = (), *, caller: str | None = None
) -> tuple[tuple[str, str], ...]:
    """Our `X-Call-Id`, the identity headers of `caller`, the trunk's headers, then `more`.

    The last two are named `X-…` or User-to-User, their values printable ASCII. Raises UriError for anything else, for a
    name given twice, for X-Call-Id itself, and when they grow too long.
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
    found[1:1] = identity_headers(caller, trunk) if caller is not None else ()
    most = _header_room(trunk)
    if len(found) > HEADERS_MAX or sum(len(name) + len(value) + 4 for name, value in found) > most:
        raise UriError(f"headers: at most {HEADERS_MAX} and {most} bytes together")
    return tuple(found)


def _header_room(trunk: Trunk) -> int:
    """Bytes for headers of ours: over UDP the INVITE has to fit one datagram, wherever that travels."""
    over_udp = any(uri.transport is Transport.UDP for uri in trunk.uris)
    if trunk.sandbox or not over_udp:
        return HEADERS_BYTES_MAX
    longest = max((len(uri.host) for uri in trunk.uris), default=0)
    return max(0, INVITE_MAX - _INVITE_BARE - 3 * max(_HOST_LEAST, longest))


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
