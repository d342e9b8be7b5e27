"""The chaos board: what one process declares another sees at once, and it has a life."""

import asyncio

import pytest

from sip.sandbox.faults import CALM, Chaos
from tests.until import until
from tests.valkey import TestValkey
from voice.chaos import LIFE_S, LOOK_S, ChaosBoard, MemoryChaos, ValkeyChaos

STORM = Chaos(busy_pct=10, loss_pct=2, delay_ms=2000, seed=7)


@pytest.fixture(params=["memory", "valkey"])
def board(request: pytest.FixtureRequest) -> ChaosBoard:
    if request.param == "memory":
        return MemoryChaos()
    valkey: TestValkey = request.getfixturevalue("valkey")
    return ValkeyChaos(valkey.redis, valkey.blocking, valkey.prefix)


async def test_what_is_declared_is_read_until_it_ends(board: ChaosBoard) -> None:
    assert await board.declared() == CALM
    await board.declare(STORM)
    assert await board.declared() == STORM
    await board.declare(Chaos(loss_pct=1))
    assert await board.declared() == Chaos(loss_pct=1)
    await board.declare(CALM)
    assert await board.declared() == CALM


async def test_the_phone_is_told_at_once_and_of_each_change_once(valkey: TestValkey) -> None:
    board = ValkeyChaos(valkey.redis, valkey.blocking, valkey.prefix)
    await board.declare(STORM)
    taken: list[Chaos] = []
    watching = asyncio.create_task(board.keep_watching(taken.append))
    try:
        await until(lambda: taken == [STORM], 5)
        began = asyncio.get_running_loop().time()
        await board.declare(CALM)
        await until(lambda: taken == [STORM, CALM], 5)
        took_s = asyncio.get_running_loop().time() - began
        await board.declare(CALM)
        await board.declare(STORM)
        await until(lambda: len(taken) > 2, 5)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    assert taken == [STORM, CALM, STORM]
    assert took_s < LOOK_S / 2  # told, not only looked up


async def test_a_chaos_that_was_forgotten_ends_by_itself(valkey: TestValkey) -> None:
    await ValkeyChaos(valkey.redis, valkey.blocking, valkey.prefix).declare(STORM)

    keys = [key async for key in valkey.redis.scan_iter(match=f"{valkey.prefix}*")]
    assert keys == [f"{valkey.prefix}chaos"]
    assert LIFE_S - 5 <= await valkey.redis.ttl(keys[0]) <= LIFE_S
