"""Certificates made on the spot: an authority, and servers that it vouches for, or that vouch for themselves."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC
from Crypto.Signature import DSS
from Crypto.Util.asn1 import DerBitString, DerBoolean, DerInteger, DerObjectId, DerOctetString, DerSequence
from Crypto.Util.asn1 import DerSetOf as DerSet

_ECDSA_SHA256 = "1.2.840.10045.4.3.2"


@dataclass(frozen=True)
class Issued:
    name: str
    key: ECC.EccKey
    pem: str

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(self.pem + self.key.export_key(format="PEM") + "\n")
            file.flush()
            context.load_cert_chain(Path(file.name))
        return context

    def trusted(self) -> ssl.SSLContext:
        """What a client believes that knows only this one."""
        return ssl.create_default_context(cadata=self.pem)


def issue(name: str, by: Issued | None = None, *, authority: bool = False, days: int = 1) -> Issued:
    """A certificate for localhost, signed by `by` or by itself (RFC 5280)."""
    key = ECC.generate(curve="P-256")
    signer = by.key if by else key
    to_be_signed = DerSequence(
        [
            _der(0xA0, DerInteger(2).encode()),  # v3
            DerInteger(1 + int.from_bytes(SHA256.new(name.encode()).digest()[:8], "big")).encode(),
            _algorithm(),
            _name(by.name if by else name),
            _validity(days),
            _name(name),
            key.public_key().export_key(format="DER"),
            _der(0xA3, _extensions(authority)),
        ]
    ).encode()
    signature = DSS.new(signer, "deterministic-rfc6979", encoding="der").sign(SHA256.new(to_be_signed))
    whole = DerSequence([to_be_signed, _algorithm(), DerBitString(signature).encode()]).encode()
    return Issued(name, key, ssl.DER_cert_to_PEM_cert(whole))


def _der(tag: int, content: bytes) -> bytes:
    """One element; DerObject refuses context tags."""
    size = len(content)
    long = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (bytes([size]) if size < 128 else bytes([0x80 | len(long)]) + long) + content


def _algorithm() -> bytes:
    return DerSequence([DerObjectId(_ECDSA_SHA256).encode()]).encode()


def _name(name: str) -> bytes:
    text = _der(0x0C, name.encode())
    pair = DerSequence([DerObjectId("2.5.4.3").encode(), text]).encode()
    return DerSequence([DerSet([pair]).encode()]).encode()


def _validity(days: int) -> bytes:
    now = datetime.now(UTC)
    moments = (now - timedelta(days=2), now + timedelta(days=days))
    return DerSequence([_der(0x17, moment.strftime("%y%m%d%H%M%SZ").encode()) for moment in moments]).encode()


def _extensions(authority: bool) -> bytes:
    basic = DerSequence([DerBoolean(True).encode()] if authority else []).encode()
    names = DerSequence([_der(0x82, b"localhost")]).encode()
    found = [("2.5.29.19", basic), ("2.5.29.17", names)]
    return DerSequence(
        [DerSequence([DerObjectId(oid).encode(), DerOctetString(value).encode()]).encode() for oid, value in found]
    ).encode()
