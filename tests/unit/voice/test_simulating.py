"""What is shown is what happens: the simulator asks the dialers' function with what they said."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given

from sip.trunk import Trunk
from tests.dialer_bench import SANDBOX, Bench, Spied
from tests.unit.voice.test_routing import CALL, NOW, NUMBERS, STATES, trunk
from voice.routing import Admin, Skip, TrunkState, Wanted, candidates
from voice.simulating import NOBODY, merged, said, simulate
from voice.store_memory import MemoryCallStore

WAYS = 60


@given(STATES, NUMBERS)
def test_what_one_dialer_says_is_what_is_simulated(states: list[TrunkState], number: str) -> None:
    wanted = replace(CALL, to_number=number)
    word = json.loads(json.dumps({state.trunk.id: said(state) for state in states}))

    shown = simulate(merged([state.trunk for state in states], [word]), wanted, NOW, 1)

    settled = [replace(one, free=0) if one.why_down else one for one in states]
    assert tuple(way.candidate for way in shown) == candidates(settled, wanted, NOW)


@pytest.mark.parametrize(
    ("words", "skip"),
    [
        ([], Skip.DOWN),
        ([("enabled", "", 0)], Skip.FULL),
        ([("enabled", "", 0), ("enabled", "", 2)], None),
        ([("enabled", "silent", 0), ("enabled", "", 1)], None),
        ([("enabled", "silent", 0), ("enabled", "silent", 0)], Skip.DOWN),
        ([("draining", "", 0), ("enabled", "", 1)], None),
        ([("draining", "", 0)], Skip.DRAINING),
    ],
)
def test_one_dialer_that_can_carry_the_call_is_enough(words: list[tuple[str, str, int]], skip: Skip | None) -> None:
    dialers = [{"a": said(TrunkState(trunk(), Admin(admin), why, free))} for admin, why, free in words]

    [state] = merged([trunk()], dialers)

    assert candidates([state], CALL, NOW)[0].skip is skip
    assert (state.why_down == NOBODY) is (not words)


def test_shares_are_those_of_the_weights() -> None:
    states = [TrunkState(trunk("a", weight=300)), TrunkState(trunk("b", weight=100)), TrunkState(trunk("c", weight=0))]

    shares = {way.candidate.trunk_id: way.share for way in simulate(states, CALL, NOW, 1000)}

    assert shares["c"] == 0
    assert 0.68 < shares["a"] < 0.82
    assert sum(shares.values()) == pytest.approx(1)


@pytest.fixture
async def lines() -> AsyncIterator[dict[str, tuple[Trunk, Spied]]]:
    made = {
        name: (
            replace(SANDBOX, id=name, weight=weight, priority=priority, prefixes=prefixes, price=price),
            Spied(speed=200.0),
        )
        for name, weight, priority, prefixes, price in [
            ("a", 100, 1, (), "1"),
            ("b", 300, 1, (), "2"),
            ("c", 100, 2, ("1202",), "0"),
            ("d", 100, 1, ("1202555", "234"), "0"),
            ("e", 0, 1, ("12025552",), "0.01"),
            ("f", 0, 1, ("12025552",), "0.02"),
        ]
    }
    yield made
    for _, line in made.values():
        await line.aclose()


async def test_each_call_leaves_by_the_trunk_that_was_shown_for_it(
    tmp_path: Path, lines: dict[str, tuple[Trunk, Spied]]
) -> None:
    bench, chance = Bench(MemoryCallStore(), tmp_path, dict(lines)), Random(9)
    shown, went = [], []
    async with bench.run() as dialer:
        for _ in range(WAYS):
            begins = chance.choice(["1202555", "12025552", "1202444", "234802", "4420"])
            number = begins + "".join(chance.choices("3456789", k=11 - len(begins)))
            word = {state.trunk.id: said(state) for state in dialer.states()}
            intake = await bench.call(number)
            call = intake.calls[0]
            wanted = Wanted(number, call.from_number, call.sandbox, call.call_id)
            states = merged([one for one, _ in lines.values()], [word])
            shown.append(simulate(states, wanted, bench.clock.now(), 1)[0].candidate.trunk_id)
            went.append((await bench.final(intake)).trunk_id)

    assert went == shown
    assert set(went) == {"a", "b", "c", "d", "e"}
