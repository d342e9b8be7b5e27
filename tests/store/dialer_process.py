"""A dialer in a process of its own, to be killed: simulated lines, a real store, and a list of what was dialled.

Arguments: server URL, key prefix, directory. Each dial is one line of `invites`, written before the line is asked.
"""

import asyncio
import os
import sys
from pathlib import Path

from messaging.store import connect, connect_blocking
from sip.commands import Dial
from sip.simulated import SimulatedLeg
from tests.dialer_bench import SANDBOX, Bench, Spied
from voice.recovery import recover
from voice.store_valkey import ValkeyCallStore

LEASE_S = 1.0
SPEED = 4.0


class Counted(Spied):
    """Writes each INVITE down for the judge."""

    def __init__(self, invites: Path) -> None:
        super().__init__(most=10, speed=SPEED)
        self._invites = os.open(invites, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def dial(self, command: Dial) -> SimulatedLeg:
        os.write(self._invites, f"{command.call_id}\n".encode())
        return await super().dial(command)


async def work(url: str, prefix: str, directory: Path) -> None:
    store = ValkeyCallStore(connect(url), connect_blocking(url), prefix, orphan_grace_s=2.0)
    bench = Bench(store, directory, {"sandbox": (SANDBOX, Counted(directory / "invites"))})
    await recover(bench.desk, list, {"sandbox": SANDBOX}, wait_s=0.0)
    print("ready", flush=True)
    await bench.dialer(lease_s=LEASE_S).run()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
