"""The addresses behind a trunk's names, looked up in the parent: PJSIP would do it in a call, holding up three others.

Over TLS it has to: the name is compared with the certificate. There, a slow resolver holds up the calls of the process.
"""

import asyncio
import ipaddress
import re
import socket

import structlog

from sip.trunk import Transport, Trunk

log = structlog.get_logger(__name__)

RESOLVED_FOR_S = 60.0
_HOST = re.compile(r"sips?:(?:[^@>]*@)?(\[[0-9A-Fa-f:.]+\]|[^:;>?@]+)(?::(\d+))?")


class Names:
    """For one trunk, with a memory of a minute."""

    def __init__(self, trunk: Trunk) -> None:
        self._trunk = trunk
        self._over = next((uri.transport for uri in trunk.uris if uri.enabled), Transport.UDP)
        self._resolved: dict[str, tuple[float, str]] = {}

    async def address_of(self, uri: str) -> str | None:
        """ "address:port", as a route. Empty: none is needed. None: nobody knows the name."""
        found = _HOST.search(uri)
        if found is None or self._over is Transport.TLS:
            return ""
        host, port = found[1].strip("[]"), int(found[2] or 5060)
        if _is_address(host):
            return _joined(host, port) if self._trunk.outbound_proxy else ""
        return await self._resolve(host, port)

    async def _resolve(self, host: str, port: int) -> str | None:
        loop = asyncio.get_running_loop()
        key = f"{host}:{port}"
        until, address = self._resolved.get(key, (0.0, ""))
        if until > loop.time():
            return address
        kind = socket.SOCK_STREAM if self._over is Transport.TCP else socket.SOCK_DGRAM
        family = socket.AF_INET6 if ":" in self._trunk.bind_address else socket.AF_INET
        try:
            answers = await loop.getaddrinfo(host, port, family=family, type=kind)
        except OSError as error:
            log.warning("trunk name not found", host=host, error=str(error))
            return None
        address = _joined(str(answers[0][4][0]), port)
        self._resolved[key] = (loop.time() + RESOLVED_FOR_S, address)
        return address


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
