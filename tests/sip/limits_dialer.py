"""A dialer in a process of its own over real lines: arguments are server URL, key prefix, directory, SIP port."""

import asyncio
import signal
import sys
from pathlib import Path

from messaging.store import connect, connect_blocking
from sip.lines import Lines
from sip.trunk import Trunk, TrunkUri
from tests.dialer_bench import Bench
from voice.store_valkey import ValkeyCallStore

CPS, CHANNELS = 5.0, 10


async def work(url: str, prefix: str, directory: Path, port: int) -> None:
    store = ValkeyCallStore(connect(url), connect_blocking(url), prefix)
    trunk = Trunk("carrier", "Carrier", (TrunkUri("127.0.0.1", port),), cps=CPS, channels=CHANNELS)
    lines = Lines(trunk, most=CHANNELS, journal_dir=directory / "lines")
    await lines.start()
    bench = Bench(store, directory, {trunk.id: (trunk, lines)})
    dialer = bench.dialer()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, dialer.stop)
    print("ready", flush=True)
    try:
        await dialer.run()
    finally:
        await lines.aclose()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
