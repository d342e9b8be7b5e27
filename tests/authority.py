"""An authority and the certificates it issues, made by OpenSSL's own program in a directory of the test."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Issued:
    certificate: Path
    key: Path

    @property
    def both(self) -> Path:
        """One file with the certificate and its key."""
        path = self.certificate.with_suffix(".both.pem")
        path.write_text(self.certificate.read_text() + self.key.read_text())
        return path


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def _request(directory: Path, name: str) -> tuple[Path, Path]:
    key, request = directory / f"{name}.key", directory / f"{name}.csr"
    _openssl(
        *("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(request)),
        *("-subj", f"/CN={name}"),
    )
    return key, request


def authority(directory: Path, name: str = "authority") -> Issued:
    """It vouches for itself."""
    key, certificate = directory / f"{name}.key", directory / f"{name}.pem"
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
        *("-keyout", str(key), "-out", str(certificate)),
    )
    return Issued(certificate, key)


def issue(directory: Path, by: Issued, host: str, *, name: str = "server", days: int = 2) -> Issued:
    """For one host; with `days` below 0 it has expired."""
    key, request = _request(directory, name)
    certificate, names = directory / f"{name}.pem", directory / f"{name}.ext"
    names.write_text(f"subjectAltName=DNS:{host}\n")
    _openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(by.certificate), "-CAkey", str(by.key)),
        *("-set_serial", str(abs(hash(name)) % 10**9 + 1), "-days", str(days), "-extfile", str(names)),
        *("-out", str(certificate)),
    )
    return Issued(certificate, key)
