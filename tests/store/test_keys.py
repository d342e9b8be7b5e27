"""docs/redis.md names every key that is stored, and none that is not."""

import asyncio
import re
from pathlib import Path

from messaging.accounts import Accounts, Mode
from messaging.clock import SystemClock
from messaging.deliveries import State
from messaging.webhooks import Schedule
from tests.receiver import receiver
from tests.store.test_courier import SECRET, Office

PAGE = Path(__file__).parents[2] / "docs" / "redis.md"


def documented(section: str) -> dict[str, re.Pattern[str]]:
    """The patterns of the first column of a section's table."""
    part = PAGE.read_text(encoding="utf-8").split(f"## {section}\n", 1)[1].split("\n## ", 1)[0]
    names = re.findall(r"^\| `([^`]+)` \|", part, re.MULTILINE)
    return {name: re.compile(re.sub(r"\\{\w+\\}", "[^:]+", re.escape(name))) for name in names}


async def test_the_page_and_the_store_agree(valkey):
    office = Office(valkey.redis, valkey.blocking, valkey.prefix)
    accounts = Accounts(valkey.redis, valkey.prefix, b"x" * 32, SystemClock())
    await accounts.create("main", Mode.TEST, "till")
    async with receiver(SECRET) as shop, office.open(schedule=Schedule("once", ())):
        shop.statuses = [200, 500]
        ended = [await office.ends(await office.tell(shop.url)) for _ in range(2)]
        await office.queue.put("waiting", delay_s=60)
        await asyncio.sleep(0)

    stored = [key.removeprefix(valkey.prefix) async for key in valkey.redis.scan_iter(match=f"{valkey.prefix}*")]

    patterns = documented("messaging")
    assert [delivery.state for delivery in ended] == [State.DONE, State.DEAD]
    assert [key for key in stored if not any(pattern.fullmatch(key) for pattern in patterns.values())] == []
    assert [name for name, pattern in patterns.items() if not any(map(pattern.fullmatch, stored))] == []
