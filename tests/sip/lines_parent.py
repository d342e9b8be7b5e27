"""A dialer in a process of its own, for tests that kill it or run it on another loop.

`python -m tests.sip.lines_parent PORT CALLS DIRECTORY LOOP`: dials, prints the pids of its line processes when every
call is answered (or CALLS is 0), and waits for its end. With LOOP `uvloop-once` it prints the ends instead, and leaves.
"""

import asyncio
import sys
import threading
from pathlib import Path

from sip.commands import AfterScript, Dial
from sip.events import Answered, Ended
from sip.line import Leg
from sip.lines import Lines
from sip.trunk import Trunk, TrunkUri
from tests import sipp


async def _reach(leg: Leg, kind: type) -> None:
    async for event in leg.events():
        if isinstance(event, kind):
            if isinstance(event, Ended):
                print("ended", event.played_to_end, flush=True)
            return


async def main(port: int, calls: int, directory: Path, *, once: bool) -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()  # forking must not mind threads
    trunk = Trunk("t", "t", (TrunkUri("127.0.0.1", port),), cps=20.0)
    lines = Lines(trunk, most=12, journal_dir=directory / "journal")
    await lines.start()
    audio = sipp.tone(directory / "parent.wav", 400 if once else 2000)
    legs = [
        await lines.dial(
            Dial(
                f"c{n}",
                f"sip:2348020000000@127.0.0.1:{port}",
                "sip:12025550199@127.0.0.1",
                audio,
                (("X-Call-Id", f"c{n}"),),
                pause_ms=50,
                then=AfterScript.HANG_UP if once else AfterScript.WAIT,
            )
        )
        for n in range(calls)
    ]
    await asyncio.gather(*(_reach(leg, Ended if once else Answered) for leg in legs))
    if not once:
        print("pids", *lines.pids(), flush=True)
        await asyncio.Event().wait()
    await lines.aclose()


if __name__ == "__main__":
    _, port, calls, directory, loop = sys.argv
    work = main(int(port), int(calls), Path(directory), once=loop == "uvloop-once")
    if loop.startswith("uvloop"):
        import uvloop

        uvloop.run(work)
    else:
        asyncio.run(work)
