"""The way to a trunk before SIP says a word: its name, a connection, its certificate. Plain sockets, no PJSIP in it.

PJSIP reports all of these as one failed connection. Here each has a name of its own, so that somebody can be told what
to do about it. The rules are those of sip/pjsettings.py: the same issuers, TLS 1.2, the host of the URI.
"""

import asyncio
import errno
import socket
import ssl
from enum import StrEnum

from sip import tls
from sip.options import Via
from sip.trunk import Tls, Transport, Trunk, TrunkUri

NAME_S = 5.0  # a resolver that is there answers in milliseconds; its own first timeout is 5 s
CONNECT_S = 4.0  # as long as a call waits for the first sign of life
HANDSHAKE_S = 5.0
SIP_PORT, SIPS_PORT = 5060, 5061  # RFC 3261 section 19.1.2


class Obstacle(StrEnum):
    """What is in the way."""

    NO_SUCH_NAME = "no_such_name"
    NO_RESOLVER = "no_resolver"  # the question itself was not answered
    REFUSED = "refused"
    NO_ROUTE = "no_route"
    TIMEOUT = "timeout"
    BIND = "bind"  # our own address is not one of this machine
    WRONG_NAME = "wrong_name"
    UNTRUSTED = "untrusted"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    VERSION = "version"
    HANDSHAKE = "handshake"  # they ended it, and the alert does not tell a missing certificate from a missing cipher
    NOT_TLS = "not_tls"
    CLIENT_CERTIFICATE = "client_certificate"  # they want to know who we are
    FILES = "files"  # what we were told to read is not there
    CLOSED = "closed"
    OTHER = "other"


class WayError(Exception):
    """The way ends here. The words are those of the system, for the record."""

    def __init__(self, obstacle: Obstacle, words: str) -> None:
        super().__init__(words)
        self.obstacle = obstacle


def first_hop(trunk: Trunk, target: TrunkUri) -> tuple[str, int]:
    """Where packets of this trunk go first: its outbound proxy, or the target itself."""
    if not trunk.outbound_proxy:
        return target.host.strip("[]"), target.port
    host, colon, port = trunk.outbound_proxy.rpartition(":")
    if not colon or not port.isdecimal() or (":" in host and not host.endswith("]")):
        host, port = trunk.outbound_proxy, ""
    usual = SIPS_PORT if target.transport is Transport.TLS else SIP_PORT
    return host.strip("[]"), int(port or usual)


async def resolve(host: str, port: int, transport: Transport, bind_address: str) -> tuple[str, ...]:
    """The addresses behind a name, of the family that we are bound to. Raises WayError."""
    kind = socket.SOCK_DGRAM if transport is Transport.UDP else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in bind_address else socket.AF_INET
    try:
        async with asyncio.timeout(NAME_S):
            rows = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=kind)
    except TimeoutError:
        raise WayError(Obstacle.NO_RESOLVER, f"no answer within {NAME_S:g} s") from None
    except socket.gaierror as error:
        raise in_the_way(error) from None
    except (OSError, UnicodeError) as error:
        raise WayError(Obstacle.NO_SUCH_NAME, str(error)) from None
    return tuple(dict.fromkeys(str(row[4][0]) for row in rows))


async def connect(address: str, port: int, bind_address: str) -> None:
    """A TCP connection, closed again. Raises WayError."""
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(address, port, local_addr=(bind_address, 0))
    except (TimeoutError, OSError) as error:
        raise in_the_way(error) from None
    await _closed(writer)


async def handshake(via: Via, bind_address: str) -> str:
    """The version that was agreed, after the certificate was believed. Raises WayError."""
    try:
        async with asyncio.timeout(HANDSHAKE_S):
            _, writer = await asyncio.open_connection(
                via.host, via.port, local_addr=(bind_address, 0), ssl=via.tls, server_hostname=via.name
            )
    except TimeoutError:  # it took the connection before: whoever speaks TLS answers the first word
        raise WayError(Obstacle.NOT_TLS, f"no answer within {HANDSHAKE_S:g} s") from None
    except (OSError, EOFError) as error:
        raise in_the_way(error) from None
    version = str(writer.get_extra_info("ssl_object").version())
    await _closed(writer)
    return version


def trust(rules: Tls) -> ssl.SSLContext:
    """Whom we believe, and who we are. TLS 1.2 and nothing else: the library that places the calls has no 1.3.

    Raises WayError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(tls.issuers(rules))
        if ours := tls.our_certificate(rules):
            context.load_cert_chain(ours)
    except tls.TlsFilesError as error:
        raise WayError(Obstacle.FILES, str(error)) from None
    except (OSError, ssl.SSLError) as error:
        raise WayError(Obstacle.FILES, f"a file of tls cannot be used: {error.strerror or error}") from None
    if not rules.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        async with asyncio.timeout(1.0):  # a peer that never says goodbye is not waited for
            await writer.wait_closed()
    except (TimeoutError, OSError):
        writer.transport.abort()


_ERRNO = {
    errno.ECONNREFUSED: Obstacle.REFUSED,
    errno.EHOSTUNREACH: Obstacle.NO_ROUTE,
    errno.ENETUNREACH: Obstacle.NO_ROUTE,
    errno.ETIMEDOUT: Obstacle.TIMEOUT,
    errno.EADDRNOTAVAIL: Obstacle.BIND,
    errno.ECONNRESET: Obstacle.CLOSED,
    errno.EPIPE: Obstacle.CLOSED,
}


def in_the_way(error: Exception) -> WayError:
    """What a connection, or a question sent through it, ended with."""
    if isinstance(error, ssl.SSLError):
        return WayError(_tls_obstacle(error), error.reason or str(error))
    if isinstance(error, socket.gaierror):
        gone = error.errno in (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM)
        return WayError(Obstacle.NO_RESOLVER if gone else Obstacle.NO_SUCH_NAME, str(error.strerror))
    if isinstance(error, TimeoutError) and not getattr(error, "errno", None):
        return WayError(Obstacle.TIMEOUT, "nothing came back in time")
    if isinstance(error, EOFError | ConnectionResetError):
        return WayError(Obstacle.CLOSED, "the other side closed the connection")
    number = getattr(error, "errno", None) or 0
    words = getattr(error, "strerror", None) or str(error)
    return WayError(_ERRNO.get(number, Obstacle.OTHER), words)


# OpenSSL's X509_V_ERR_… (x509_vfy.h): the chain cannot be led back to an issuer that we believe.
_UNTRUSTED = frozenset({2, 18, 19, 20, 21, 24, 26, 27})
_VERIFY = {9: Obstacle.NOT_YET_VALID, 10: Obstacle.EXPIRED, 62: Obstacle.WRONG_NAME, 64: Obstacle.WRONG_NAME}
_REASONS = (
    ("ALERT_PROTOCOL_VERSION", Obstacle.VERSION),
    ("UNSUPPORTED_PROTOCOL", Obstacle.VERSION),
    ("NO_SHARED_CIPHER", Obstacle.VERSION),
    ("HANDSHAKE_FAILURE", Obstacle.HANDSHAKE),
    ("WRONG_VERSION_NUMBER", Obstacle.NOT_TLS),
    ("HTTP_REQUEST", Obstacle.NOT_TLS),
    ("RECORD_LAYER_FAILURE", Obstacle.NOT_TLS),
    ("CERTIFICATE_REQUIRED", Obstacle.CLIENT_CERTIFICATE),
    ("ALERT_BAD_CERTIFICATE", Obstacle.CLIENT_CERTIFICATE),
    ("ALERT_CERTIFICATE", Obstacle.CLIENT_CERTIFICATE),
    ("ALERT_UNKNOWN_CA", Obstacle.CLIENT_CERTIFICATE),
    ("UNEXPECTED_EOF", Obstacle.CLOSED),
)


def _tls_obstacle(error: ssl.SSLError) -> Obstacle:
    if isinstance(error, ssl.SSLCertVerificationError):
        code = error.verify_code
        return _VERIFY.get(code, Obstacle.UNTRUSTED if code in _UNTRUSTED else Obstacle.OTHER)
    reason = error.reason or ""
    return next((found for word, found in _REASONS if word in reason), Obstacle.OTHER)
