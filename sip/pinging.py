"""A trunk's pings: OPTIONS to a target by the way that its calls take, which is its outbound proxy when it has one, and
over TLS with its own rules. No PJSIP in it.
"""

import asyncio
import ssl

from sip.options import Answered, Via, ask
from sip.probing import first_hop, in_the_way, trust
from sip.trunk import Transport, Trunk, TrunkUri


class Pings:
    """Of one trunk. What its TLS rules name is read once: the issuers of a system take 30 ms of a processor."""

    def __init__(self, trunk: Trunk) -> None:
        self._trunk = trunk
        self._believed: ssl.SSLContext | None = None
        self._reading = asyncio.Lock()  # the targets are asked at once

    async def ask(self, target: TrunkUri, within_s: float) -> Answered:
        """Raises WayError: it was not answered, and why."""
        host, port = first_hop(self._trunk, target)
        over_tls = target.transport is Transport.TLS
        via = Via(host, port, await self._trust() if over_tls else None, host, self._trunk.outbound_proxy)
        try:
            return await ask(target, self._trunk.bind_address, within_s, via)
        except (OSError, EOFError, ValueError) as error:  # TimeoutError is an OSError
            raise in_the_way(error) from None

    async def _trust(self) -> ssl.SSLContext:
        """A file that is missing may be there at the next ping."""
        async with self._reading:
            if self._believed is None:
                self._believed = await asyncio.to_thread(trust, self._trunk.tls)
            return self._believed
