"""What is measured. Each part gives rows of the table: name -> unit and value, or unit and spread; none is judged."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx2

from benchmarks.carrier import Carrier, most_at_once
from benchmarks.figures import spread
from benchmarks.hooks import Hooks
from benchmarks.meter import Meter
from benchmarks.processes import cpu_s, name_of, pss_mib, tree
from benchmarks.service import Service

TEXT = "Disk full on server one."
LONG_TEXT = "The water level at the northern bridge has passed the second warning mark today."

SINGLES = 300
LISTS, RECIPIENTS = 10, 1000
RATE_CALLS, RATE_PER_S = 150, 10.0
AT_ONCE, PLATEAU_S = 40, 10.0
RAMP_WITHIN_S, END_WITHIN_S = 15.0, 30.0

Rows = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Bench:
    """The service and everything around it."""

    service: Service
    carrier: Carrier
    meter: Meter
    hooks: Hooks
    http: httpx2.AsyncClient
    numbers: Iterator[str]

    async def post(self, path: str, **body: Any) -> float:
        """Seconds to the 2xx. Raises RuntimeError for any other answer."""
        began = time.perf_counter()
        answer = await self.http.post(path, json=body | {"callback_url": self.hooks.url})
        took = time.perf_counter() - began
        if not answer.is_success:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:500]}")
        return took


def numbers() -> Iterator[str]:
    """Nobody is called twice, so that a number names a call. They go to SIPp alone."""
    return (f"2348020{n:06d}" for n in count())


async def warm_up(bench: Bench) -> None:
    """One call: the prompt is rendered, a line process and the connections are there."""
    number = next(bench.numbers)
    await bench.post("/v1/calls", to=number, text=TEXT)
    await bench.hooks.have({number}, END_WITHIN_S)


async def accepting(bench: Bench) -> Rows:
    """Calls for tomorrow, one after another: what accepting costs, without the dialling that follows."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    singles = [
        await bench.post("/v1/calls", to=next(bench.numbers), text=TEXT, send_at=tomorrow) for _ in range(SINGLES)
    ]
    lists = [
        await bench.post(
            "/v1/sendvoice", to=[next(bench.numbers) for _ in range(RECIPIENTS)], text=TEXT, send_at=tomorrow
        )
        for _ in range(LISTS)
    ]
    return {
        "accept, one call": {"unit": "ms", **spread([1000 * took for took in singles])},
        f"accept, {RECIPIENTS} recipients": {"unit": "ms", **spread([1000 * took for took in lists])},
    }


async def at_a_rate(bench: Bench) -> Rows:
    """Short calls at an even pace, whatever answers take: from the request to the INVITE, from the BYE to the hook."""
    loop, asked, posts = asyncio.get_running_loop(), {}, []
    before, began = cpu_s(bench.service.pid), loop.time()
    for n in range(RATE_CALLS):
        await asyncio.sleep(max(0.0, began + n / RATE_PER_S - loop.time()))
        number = next(bench.numbers)
        asked[number] = time.time()
        posts.append(asyncio.create_task(bench.post("/v1/calls", to=number, text=TEXT), name=f"post {n}"))
    await asyncio.gather(*posts)
    await bench.hooks.have(set(asked), END_WITHIN_S)
    after = cpu_s(bench.service.pid)
    calls = [call for call in bench.carrier.calls() if call.number in asked]
    if not calls:
        raise RuntimeError("no call reached the carrier")
    up_s = sum(call.bye - call.up for call in calls if call.up and call.bye)
    told = [bench.hooks.at[call.number] - call.bye for call in calls if call.bye]
    rate = f"at {RATE_PER_S:g} calls/s"
    return {
        f"POST to INVITE, {rate}": {
            "unit": "ms", **spread([1000 * (call.invite - asked[call.number]) for call in calls])
        },
        f"BYE to webhook received, {rate}": {"unit": "ms", **spread([1000 * late for late in told])},
        **_cpu(f"per short call, {rate}", "ms", len(calls), before, after, len(calls) / 1000, 1),
        "length of these calls, mean": {"unit": "s", "n": len(calls), "value": round(up_s / len(calls), 2)},
    }  # fmt: skip


async def at_once(bench: Bench) -> Rows:
    """Forty calls that speak at the same time, watched while all are up."""
    to = [next(bench.numbers) for _ in range(AT_ONCE)]
    await bench.post("/v1/sendvoice", to=to, text=LONG_TEXT, repeat=5, lane="alert")  # every channel
    up = 0
    try:
        async with asyncio.timeout(RAMP_WITHIN_S):
            while (up := bench.meter.heard_since(time.time() - 0.1)) < AT_ONCE:  # noqa: ASYNC110 - the meter has no event for it
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise RuntimeError(f"only {up} of {AT_ONCE} calls were up after {RAMP_WITHIN_S:g} s") from None
    begin, before = time.time(), cpu_s(bench.service.pid)
    await asyncio.sleep(PLATEAU_S)
    end, after = time.time(), cpu_s(bench.service.pid)
    memory = _memory(bench.service.pid)
    await bench.hooks.have(set(to), END_WITHIN_S)
    pace = bench.meter.pace(begin, end)
    calls = [call for call in bench.carrier.calls() if call.number in to]
    if not pace.streams:
        raise RuntimeError("no call sounded for the whole time it was watched")
    minutes = pace.streams * (end - begin) / 60
    return {
        "calls up at once, by SIPp": {"unit": "calls", "n": len(calls), "value": most_at_once(calls)},
        f"RTP pace, off 20 ms, {pace.streams} streams": {"unit": "ms", **spread(pace.deviations_ms, 3)},
        "RTP packets lost": {"unit": "packets", "n": len(pace.deviations_ms) + pace.lost, "value": pace.lost},
        **_cpu(f"per call-minute, {pace.streams} up", "s", pace.streams, before, after, minutes, 3),
        **memory,
    }  # fmt: skip


def _cpu(
    what: str, unit: str, n: int, before: Mapping[str, float], after: Mapping[str, float], by: float, digits: int
) -> Rows:
    """Of all our processes, then of each kind: the seconds between two looks, divided `by`."""
    spent = {name: (seconds - before.get(name, 0.0)) / by for name, seconds in sorted(after.items())}

    def row(value: float) -> Mapping[str, Any]:
        return {"unit": unit, "n": n, "value": round(value, digits)}

    return {
        f"CPU of all our processes {what}": row(sum(spent.values())),
        **{f"CPU of {name} {what}": row(value) for name, value in spent.items()},
    }


def _memory(root: int) -> Rows:
    sizes: dict[str, list[float]] = {}
    for process in tree(root):
        sizes.setdefault(name_of(process, root), []).append(pss_mib(process.pid))
    rows: dict[str, Mapping[str, Any]] = {
        "memory (PSS) per line process": {"unit": "MiB", **spread(sizes.get("tocsin-line", []), 1)}
    }
    for name in sorted(sizes.keys() - {"tocsin-line"}):
        rows[f"memory (PSS), {name}"] = {"unit": "MiB", "n": len(sizes[name]), "value": round(sum(sizes[name]), 1)}
    everything = [size for several in sizes.values() for size in several]
    return rows | {"memory (PSS) in all": {"unit": "MiB", "n": len(everything), "value": round(sum(everything), 1)}}
