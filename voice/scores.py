"""The twins of `scoreboard.Scores`: marks by the hour, in Valkey and in memory.

Key after the prefix         what
  score:{trunk_id}:{hour}    hash: prefix:name -> sum of the calls that ended in that hour (UTC); lives 8 days
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from redis.asyncio import Redis

from messaging.store import unsure
from voice.calls import Call
from voice.keys import Keys
from voice.scoreboard import hour_of, hours, marks


class ValkeyScores:
    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis, self._keys = redis, keys

    async def marks(self, trunk_id: str, since: datetime, until: datetime) -> Mapping[str, int]:
        with unsure():
            async with self._redis.pipeline(transaction=False) as reads:
                for hour in hours(since, until):
                    reads.hgetall(self._keys.score(trunk_id, hour))
                found = cast("list[dict[str, Any]]", await reads.execute())
        added: Counter[str] = Counter()
        for one in found:
            added.update({mark: int(count) for mark, count in one.items()})
        return added


class MemoryScores:
    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Counter[str]] = {}

    def add(self, call: Call) -> None:
        if call.trunk_id and call.end_at:
            self._kept.setdefault((call.trunk_id, hour_of(call.end_at)), Counter()).update(marks(call))

    async def marks(self, trunk_id: str, since: datetime, until: datetime) -> Mapping[str, int]:
        wanted = set(hours(since, until))
        added: Counter[str] = Counter()
        for (kept_id, hour), counts in self._kept.items():
            if kept_id == trunk_id and hour in wanted:
                added.update(counts)
        return added
