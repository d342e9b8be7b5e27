"""`python -m benchmarks`: bounded in calls and in time, on loopback only. Prints a table, writes results/….json."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import parts
from benchmarks.carrier import NoSipp, carrier
from benchmarks.figures import commit, machine, table
from benchmarks.hooks import Hooks
from benchmarks.meter import Meter
from benchmarks.service import started

BOUND_S = 120.0  # a run takes about 60 s; whatever hangs ends here
RESULTS = Path(__file__).with_name("results")
_TRUNKS = """[trunks.carrier]
host = "127.0.0.1:{port}"
caller_ids = ["2347080670000"]
channels = {channels}
cps = 50
"""


async def measured() -> dict[str, Any]:
    with TemporaryDirectory(prefix="tocsin-bench-") as name, Meter() as meter:
        folder = Path(name)
        async with carrier(folder, meter.port, BOUND_S) as far_end, Hooks() as hooks:
            trunks = folder / "trunks.toml"
            trunks.write_text(_TRUNKS.format(port=far_end.port, channels=parts.AT_ONCE))
            async with started(folder, trunks, parts.AT_ONCE) as service, service.client() as http:
                bench = parts.Bench(service, far_end, meter, hooks, http, parts.numbers())
                await parts.warm_up(bench)
                rows: dict[str, Any] = {}
                for part in (parts.at_a_rate, parts.at_once, parts.accepting):
                    print(f"… {(part.__doc__ or '').strip()}", file=sys.stderr, flush=True)
                    rows |= await part(bench)
                return rows


async def _bounded() -> dict[str, Any]:
    async with asyncio.timeout(BOUND_S):
        return await measured()


def main() -> int:
    facts: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit()}
    facts["machine"] = machine()
    try:
        rows = asyncio.run(_bounded())
    except (NoSipp, RuntimeError, TimeoutError) as error:
        print(f"nothing measured: {error or 'it took too long'}", file=sys.stderr)
        return 1
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{facts['at'][:10]}-{facts['commit']}.json"
    file.write_text(json.dumps(facts | {"results": rows}, indent=2) + "\n")
    print(", ".join(f"{name} {value}" for name, value in facts["machine"].items()))
    print(table(rows))
    print(f"\n{file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
