"""TLS towards a trunk: whom we believe, and a refused handshake in words. Pure but for a look at the issuers' file.

PJSIP verifies: the chain against one file of issuers, the dates, and the host of the URI against the certificate's
names. What it found wrong comes as a set of bits (`pj_ssl_cert_verify_flag_t`).
"""

import ssl
from pathlib import Path

from sip.trunk import Tls

TLS_1_2 = 16  # PJ_SSL_SOCK_PROTO_TLS1_2; the library at hand knows no 1.3, and older ones are broken (RFC 8996)

_NOT_MATCH = 1 << 30
_WRONG = (
    # The name first: with it come others that say less.
    (_NOT_MATCH, "the certificate is for another name than {host}"),
    (1 << 2, "the certificate has expired, or is not valid yet"),
    (1 << 0, "the certificate's issuer is not among those we trust (tls.ca)"),
    (1 << 1, "the certificate's issuer is not among those we trust (tls.ca)"),
    (1 << 5, "the certificate's issuer is not among those we trust (tls.ca)"),
    (1 << 7, "the certificate has been revoked"),
    (1 << 6, "the list of revoked certificates cannot be read"),
    (1 << 9, "the certificate is signed with a broken algorithm"),
    (1 << 8, "the chain of certificates is too long"),
    (1 << 4, "the certificate is not for a server"),
    (1 << 3, "the certificate cannot be read"),
)


class TlsFilesError(Exception):
    """A file that TLS needs is missing or holds nothing of use; the message names it."""


def issuers(tls: Tls) -> str:
    """The file of the issuers we believe: the trunk's own, else the system's. Raises TlsFilesError."""
    found = tls.ca or ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    return _pem(found, "tls.ca", "CERTIFICATE")


def our_certificate(tls: Tls) -> str:
    """The file with our certificate and its key, for a trunk that asks who we are; empty: we have none."""
    if not tls.client_cert:
        return ""
    _pem(tls.client_cert, "tls.client_cert", "PRIVATE KEY")
    return _pem(tls.client_cert, "tls.client_cert", "CERTIFICATE")


def _pem(path: str, key: str, holds: str) -> str:
    try:
        text = Path(path).read_text(errors="replace")
    except OSError as error:
        raise TlsFilesError(f"{key}: {path} cannot be read: {error.strerror}") from None
    if f"{holds}-----" not in text:
        raise TlsFilesError(f"{key}: {path} holds no {holds.lower()}")
    return path


def why_refused(status: int, host: str) -> str:
    """What is wrong with the trunk's certificate; empty when nothing is."""
    bits = status & 0xFFFFFFFF
    named = [sentence for bit, sentence in _WRONG if bits & bit]
    if not bits:
        return ""
    return "TLS: " + (named[0].format(host=host) if named else "the certificate was not accepted")
