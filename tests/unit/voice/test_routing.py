"""Which trunk, and why not the others: a table of reasons, the order of those that can, and shares by weight."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.causes import Cause
from sip.trunk import CallerIdPolicy, Opening, Trunk, TrunkUri
from voice.routing import Admin, Candidate, Skip, TrunkState, Wanted, candidates, is_open, never, now_or_soon

NOW = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)  # a Tuesday
CALL = Wanted(to_number="2348020000000", from_number="2347080670000", sandbox=False, draw="call_1")


def trunk(name: str = "a", **members: object) -> Trunk:
    return replace(Trunk(id=name, name=name, uris=(TrunkUri("192.0.2.1"),)), **members)


def skip(state: TrunkState, wanted: Wanted = CALL) -> Skip | None:
    [found] = candidates([state], wanted, NOW)
    assert (found.skip is None) == (found.why == "")
    return found.skip


@pytest.mark.parametrize(
    ("state", "wanted", "reason"),
    [
        (TrunkState(trunk()), CALL, None),
        (TrunkState(trunk()), replace(CALL, trunk_id="b"), Skip.NOT_ASKED),
        (TrunkState(trunk()), replace(CALL, trunk_id="a"), None),
        (TrunkState(trunk(sandbox=True)), CALL, Skip.OTHER_SIDE),
        (TrunkState(trunk()), replace(CALL, sandbox=True), Skip.OTHER_SIDE),
        (TrunkState(trunk(prefixes=("233", "2341"))), CALL, Skip.PREFIX),
        (TrunkState(trunk(prefixes=("233", "23480"))), CALL, None),
        (TrunkState(trunk(caller_ids=("2347080670009",))), CALL, Skip.CALLER_ID),
        (TrunkState(trunk(caller_ids=("2347080670000",))), CALL, None),
        (TrunkState(trunk(caller_ids=("1",), caller_id_policy=CallerIdPolicy.FIXED)), CALL, None),
        (TrunkState(trunk(caller_ids=("1",), caller_id_policy=CallerIdPolicy.PASS)), CALL, None),
        (TrunkState(trunk(price="0.30", max_rate="0.20")), CALL, Skip.TOO_DEAR),
        (TrunkState(trunk(price="0.20", max_rate="0.20")), CALL, None),
        (TrunkState(trunk(price="0.30")), replace(CALL, max_rate=Decimal("0.29")), Skip.TOO_DEAR),
        (TrunkState(trunk()), replace(CALL, tried=("a",)), Skip.TRIED),
        (TrunkState(trunk(enabled=False)), CALL, Skip.DISABLED),
        (TrunkState(trunk(), admin=Admin.DISABLED), CALL, Skip.DISABLED),
        (TrunkState(trunk(), admin=Admin.DRAINING), CALL, Skip.DRAINING),
        (TrunkState(trunk(schedule=(Opening(("mon",)),))), CALL, Skip.CLOSED),
        (TrunkState(trunk(), why_down="five OPTIONS unanswered"), CALL, Skip.DOWN),
        (TrunkState(trunk(), free=0), CALL, Skip.FULL),
        (TrunkState(trunk(), free=0, spent="10 is spent"), CALL, Skip.SPENT),
        (TrunkState(trunk(), free=1, spent="10 is spent"), CALL, None),  # one tries
    ],
)
def test_a_trunk_is_taken_or_passed_over_for_the_reason_that_holds(
    state: TrunkState, wanted: Wanted, reason: Skip | None
) -> None:
    assert skip(state, wanted) is reason


def test_the_longest_prefix_wins_over_priority_and_priority_over_weight() -> None:
    states = [
        TrunkState(trunk("everywhere", priority=1)),
        TrunkState(trunk("nigeria", prefixes=("234",), priority=9)),
        TrunkState(trunk("lagos", prefixes=("23480", "1"), priority=9)),
        TrunkState(trunk("second", priority=2, weight=1000)),
    ]

    found = candidates(states, CALL, NOW)

    assert [one.trunk_id for one in found] == ["lagos", "nigeria", "everywhere", "second"]
    assert [one.prefix for one in found] == ["23480", "234", "", ""]


def test_calls_are_shared_by_weight() -> None:
    states = [TrunkState(trunk("a", weight=300)), TrunkState(trunk("b", weight=100)), TrunkState(trunk("c", weight=0))]

    first = Counter(candidates(states, replace(CALL, draw=f"call_{n}"), NOW)[0].trunk_id for n in range(4000))

    assert first["c"] == 0
    assert 0.72 < first["a"] / 4000 < 0.78  # 0.75; five standard deviations are 0.034


def test_without_shares_the_cheapest_comes_first_and_shares_come_before_it() -> None:
    states = [
        TrunkState(trunk("a", weight=0, price="0.030")),
        TrunkState(trunk("b", weight=0, price="0.0125")),
        TrunkState(trunk("c", weight=0, price="0.100")),
        TrunkState(trunk("d", weight=1, price="9")),
        TrunkState(trunk("e", weight=0, price="0", priority=2)),
    ]
    for n in range(50):
        found = candidates(states, replace(CALL, draw=f"call_{n}"), NOW)
        assert [one.trunk_id for one in found] == ["d", "b", "a", "c", "e"]

    away = candidates([*states[:1], replace(states[1], free=0), states[2]], CALL, NOW)
    assert [one.trunk_id for one in away if one.skip is None] == ["a", "c"]


def test_a_trunk_that_goes_away_moves_only_its_own_calls() -> None:
    states = [TrunkState(trunk(name)) for name in "abc"]
    for n in range(200):
        wanted = replace(CALL, draw=f"call_{n}")
        before = candidates(states, wanted, NOW)[0].trunk_id
        after = candidates(states[:2], wanted, NOW)[0].trunk_id
        assert before in (after, "c")


@pytest.mark.parametrize(
    ("skips", "cause"),
    [
        ((None,), None),
        ((Skip.CALLER_ID, Skip.DOWN), None),  # it may come back
        ((Skip.CALLER_ID, Skip.PREFIX), Cause.CALLER_ID_UNVERIFIED),
        ((Skip.TOO_DEAR, Skip.NOT_ASKED), Cause.SPEND_CAP),
        ((Skip.PREFIX, Skip.OTHER_SIDE), Cause.GEO_BLOCKED),
        ((), Cause.GEO_BLOCKED),
    ],
)
def test_a_call_waits_while_a_trunk_may_take_it_and_ends_when_none_ever_will(
    skips: tuple[Skip | None, ...], cause: Cause | None
) -> None:
    found = [Candidate(str(n), "", one, "why" if one else "") for n, one in enumerate(skips)]

    assert never(found) is cause


@pytest.mark.parametrize(
    ("opening", "hour", "minute", "is_it"),
    [
        (Opening(start="09:00", end="17:00"), 9, 0, True),
        (Opening(start="09:00", end="17:00"), 17, 0, False),
        (Opening(start="09:00", end="17:00", timezone="Africa/Lagos"), 8, 0, True),  # 09:00 there
        (Opening(("tue",), "22:00", "06:00"), 23, 0, True),
        (Opening(("tue",), "22:00", "06:00"), 5, 0, False),  # that night belongs to Monday
        (Opening(("mon",), "22:00", "06:00"), 5, 0, True),
        (Opening(("wed",)), 12, 0, False),
        (Opening(), 0, 0, True),
    ],
)
def test_a_schedule_is_read_in_its_own_zone_and_over_midnight(
    opening: Opening, hour: int, minute: int, is_it: bool
) -> None:
    assert is_open([opening], NOW.replace(hour=hour, minute=minute)) is is_it


NUMBERS = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
STATES = st.lists(
    st.builds(
        TrunkState,
        st.builds(
            trunk,
            st.sampled_from("abcdef"),
            priority=st.integers(1, 3),
            weight=st.sampled_from([0, 0, 1, 100, 200]),
            price=st.sampled_from(["0", "0.0125", "0.1"]),
            prefixes=st.lists(st.sampled_from(["1", "23", "234", "44", "9"]), max_size=3).map(tuple),
        ),
        why_down=st.sampled_from(["", "silent"]),
        free=st.integers(0, 2),
        spent=st.sampled_from(["", "", "10 is spent"]),
    ),
    max_size=6,
    unique_by=lambda state: state.trunk.id,
)


@given(STATES, NUMBERS, st.text(max_size=8))
def test_every_trunk_is_named_once_and_the_order_does_not_depend_on_theirs(
    states: list[TrunkState], number: str, draw: str
) -> None:
    wanted = replace(CALL, to_number=number, draw=draw)

    found = candidates(states, wanted, NOW)

    assert sorted(one.trunk_id for one in found) == sorted(state.trunk.id for state in states)
    assert candidates(states[::-1], wanted, NOW) == found
    able = [one.skip is None for one in found]
    assert able == sorted(able, reverse=True)


@pytest.mark.parametrize("reason", Skip)
def test_only_a_trunk_that_is_full_is_waited_for_by_a_call_with_little_time(reason: Skip) -> None:
    found = [Candidate("a", "", Skip.TRIED), Candidate("b", "", reason)]

    assert now_or_soon(found) is (reason is Skip.FULL)
    assert now_or_soon([*found, Candidate("c", "")])
    assert not now_or_soon([])
