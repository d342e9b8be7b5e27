"""The operator's figures, put together at scrape from what is in the store: no process counts for itself alone.

Every API process therefore tells the same. No label names a call or a number, so the series stay few (at most lanes ×
statuses × causes). `docs/reference/metrics.md` explains each; a test compares.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from messaging.deliveries import Deliveries
from messaging.errors import Unavailable
from voice.presence import Presence
from voice.store import CallStore, Ended, Lane

ROLES = ("api", "dialer", "courier", "phone")


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the store."""

    queued: Mapping[Lane, int]
    endings: Mapping[Ended, int]
    present: Mapping[str, Sequence[Mapping[str, Any]]]  # by role: what each process says of itself
    starts: Mapping[str, int]
    pending: int
    dead: int


class Figures:
    """`owners`: whose dead letters are counted."""

    def __init__(self, store: CallStore, presence: Presence, deliveries: Deliveries, owners: Sequence[str]) -> None:
        self._store, self._presence, self._deliveries, self._owners = store, presence, deliveries, owners

    async def collect(self) -> Collector:
        """For `generate_latest`. A store that is away leaves one figure: that it is."""
        try:
            seen = await self._look()
        except Unavailable:
            return Snapshot([_gauge("tocsin_store_up", 0)])
        return Snapshot(families(seen))

    async def _look(self) -> Seen:
        queued = await asyncio.gather(*(self._store.queued(lane) for lane in Lane))
        present = await asyncio.gather(*(self._presence.present(role) for role in ROLES))
        return Seen(
            queued=dict(zip(Lane, queued, strict=True)),
            endings=await self._store.endings(),
            present=dict(zip(ROLES, present, strict=True)),
            starts=await self._presence.starts(),
            pending=await self._deliveries.pending(),
            dead=sum([await self._deliveries.dead_count(owner) for owner in self._owners]),
        )


class Snapshot(Collector):
    """What `generate_latest` may read: these families and nothing else."""

    def __init__(self, found: Sequence[Metric]) -> None:
        self._found = found

    def collect(self) -> Sequence[Metric]:
        return self._found


HELP: Mapping[str, str] = {
    "tocsin_store_up": "1 while the store answers; the other figures are there only then.",
    "tocsin_calls_queued": "Calls that wait for a line, by lane.",
    "tocsin_calls_ended": "Calls that ended, by lane, status and cause.",
    "tocsin_lines": "Concurrent calls that the dialers may have, by trunk.",
    "tocsin_lines_busy": "Calls in progress, by trunk.",
    "tocsin_line_processes": "Line processes that are up, by trunk.",
    "tocsin_processes": "Processes that said so within the last seconds, by role.",
    "tocsin_process_starts": "Processes that came up, by role: what rises without a deployment is a crash.",
    "tocsin_webhooks_pending": "Webhooks that wait for their next try, or are being sent.",
    "tocsin_webhooks_dead": "Webhooks that were given up in the last 30 days and not replayed.",
}


def families(seen: Seen) -> list[Metric]:
    """Pure: what was seen, as Prometheus wants it."""
    dialers = seen.present.get("dialer", ())
    queued = _gauge("tocsin_calls_queued", labels=("lane",))
    for lane, count in seen.queued.items():
        queued.add_metric([lane.value], count)
    ended = _counter("tocsin_calls_ended", ("lane", "status", "cause"))
    for how, count in sorted(seen.endings.items(), key=lambda item: (item[0].lane, item[0].status, item[0].cause)):
        ended.add_metric([how.lane.value, how.status, how.cause], count)
    here = _gauge("tocsin_processes", labels=("role",))
    for role, said in seen.present.items():
        here.add_metric([role], len(said))
    starts = _counter("tocsin_process_starts", ("role",))
    for role, count in sorted(seen.starts.items()):
        starts.add_metric([role], count)
    processes = [{row["trunk"]: 1} for dialer in dialers for row in dialer.get("lines", ())]
    empty = [dict.fromkeys(dialer.get("trunks", {}), 0) for dialer in dialers]
    return [
        _gauge("tocsin_store_up", 1),
        queued,
        ended,
        _by_trunk("tocsin_lines", [dialer.get("trunks", {}) for dialer in dialers]),
        _by_trunk("tocsin_lines_busy", [dialer.get("busy_lines", {}) for dialer in dialers]),
        _by_trunk("tocsin_line_processes", [*empty, *processes]),
        here,
        starts,
        _gauge("tocsin_webhooks_pending", seen.pending),
        _gauge("tocsin_webhooks_dead", seen.dead),
    ]


def _by_trunk(name: str, parts: Sequence[Mapping[str, int]]) -> GaugeMetricFamily:
    total: dict[str, int] = {}
    for part in parts:
        for trunk_id, count in part.items():
            total[trunk_id] = total.get(trunk_id, 0) + count
    family = _gauge(name, labels=("trunk",))
    for trunk_id, count in sorted(total.items()):
        family.add_metric([trunk_id], count)
    return family


def _gauge(name: str, value: float | None = None, labels: Sequence[str] | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, HELP[name], value=value, labels=labels)


def _counter(name: str, labels: Sequence[str]) -> CounterMetricFamily:
    return CounterMetricFamily(name, HELP[name], labels=labels)
