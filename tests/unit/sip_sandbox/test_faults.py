"""Chaos keeps what it declares: so many bad calls in every hundred, one fault at a time, magic numbers left alone."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.sandbox.faults import (
    CALM,
    DECK,
    GONE_AFTER_S,
    BadChaos,
    Chaos,
    Deck,
    Fault,
    Unruly,
    from_dict,
    parsed,
    troubled,
    written,
)
from sip.sandbox.scripts import ANSWERS, HUMAN_S, MAGIC, BadOverride, PhoneScript, script_for

STORM = Chaos(busy_pct=10, trunk_503_pct=5, no_bye_pct=5, wrong_codec_pct=5, loss_pct=2, delay_ms=2000)


def seen(script: PhoneScript) -> str:
    """Which fault a script has, told by what the phone will do."""
    if script.final is not None:
        return str(script.final.code)
    return "no_bye" if not script.says_bye else "wrong_codec" if script.wrong_codec else "good"


@pytest.mark.parametrize("seed", [None, 0, 7])
def test_the_declared_shares_hold_in_500_calls(seed: int | None) -> None:
    phone = Unruly()
    phone.declare(replace(STORM, seed=seed))

    calls = [phone(f"23480{number:08d}") for number in range(500)]

    assert Counter(map(seen, calls)) == {"486": 50, "503": 25, "no_bye": 25, "wrong_codec": 25, "good": 375}
    assert {script.loss for script in calls} == {0.02}


@given(st.lists(st.integers(0, 25), min_size=4, max_size=4), st.integers(0, 2**31 - 1), st.integers(1, 4))
def test_every_hundred_calls_have_exactly_the_declared_faults(shares: list[int], seed: int, hundreds: int) -> None:
    declared = dict(zip(Fault, shares, strict=True))
    deck = Deck(Chaos(**{f"{fault}_pct": share for fault, share in declared.items()}, seed=seed))

    for _ in range(hundreds):
        dealt = Counter(deck.deal() for _ in range(DECK))
        assert {fault: dealt[fault] for fault in Fault} == declared


def test_a_seed_gives_the_same_order_and_another_seed_another() -> None:
    def order(seed: int) -> list[Fault | None]:
        deck = Deck(replace(STORM, seed=seed))
        return [deck.deal() for _ in range(300)]

    assert order(7) == order(7)
    assert order(7) != order(8)
    assert order(7)[:100] != order(7)[100:200]


def test_bad_calls_do_not_come_in_a_heap() -> None:
    dealt = [
        fault is not None for deck in [Deck(replace(STORM, seed=1))] for fault in (deck.deal() for _ in range(100))
    ]

    assert 0 < sum(dealt[:50]) < 25


def test_magic_numbers_and_calls_with_an_override_keep_to_their_script() -> None:
    phone = Unruly()
    phone.declare(Chaos(busy_pct=100, loss_pct=50, delay_ms=5000))

    assert all(phone(number) == script for number, script in MAGIC.items())
    assert phone("+12025550100") == ANSWERS
    assert phone("2348020000000", "hangup_after=3") == script_for("2348020000000", "hangup_after=3")
    assert seen(phone("2348020000000")) == "486"
    with pytest.raises(BadOverride):
        phone("2348020000000", "hangup_after=never")


def test_nothing_is_wrong_before_chaos_is_declared_and_after_it_ends() -> None:
    phone = Unruly()
    before = phone("2348020000000")
    phone.declare(Chaos(busy_pct=100))
    during = phone("2348020000000")
    phone.declare(CALM)

    assert before == phone("2348020000000") == ANSWERS
    assert seen(during) == "486"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (None, {"ring_after_s": 1.5, "loss": 0.02, "answer_after_s": HUMAN_S, "hangup_after_s": None}),
        (Fault.NO_BYE, {"ring_after_s": 1.5, "hangup_after_s": GONE_AFTER_S, "says_bye": False, "wrong_codec": False}),
        (Fault.WRONG_CODEC, {"ring_after_s": 1.5, "wrong_codec": True, "says_bye": True}),
        (Fault.BUSY, {"ring_after_s": None, "answer_after_s": None}),
        (Fault.TRUNK_503, {"ring_after_s": None, "answer_after_s": None}),
    ],
)
def test_each_fault_is_a_script(fault: Fault | None, expected: dict[str, object]) -> None:
    script = troubled(ANSWERS, Chaos(delay_ms=1500, loss_pct=2), fault)

    assert {name: getattr(script, name) for name in expected} == expected
    if fault in (Fault.BUSY, Fault.TRUNK_503):
        assert script.final is not None
        assert (script.final.code, script.final.after_s) == ({"busy": 486, "trunk_503": 503}[fault], 1.5)


@pytest.mark.parametrize(
    ("words", "chaos"),
    [
        ("busy=10% trunk_503=5% delay=2s loss=2% no_bye=5% wrong_codec=5%", STORM),
        ("busy=100", Chaos(busy_pct=100)),
        ("delay=300ms seed=0", Chaos(delay_ms=300, seed=0)),
        ("delay=1.5", Chaos(delay_ms=1500)),
        ("", CALM),
    ],
)
def test_chaos_is_read_as_people_write_it(words: str, chaos: Chaos) -> None:
    assert parsed(words.split()) == chaos


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("busy", "write NAME=VALUE"),
        ("bsuy=5%", "one of busy, trunk_503"),
        ("busy=5% busy=6%", "given twice"),
        ("busy=half", "no whole number of per cent"),
        ("busy=0.5%", "no whole number"),
        ("busy=-1%", "no whole number"),
        ("busy=101%", "not from 0 to 100"),
        ("busy=60% trunk_503=41%", "more than 100 together"),
        ("loss=51%", "not from 0 to 50"),
        ("delay=soon", "no time"),
        ("delay=61s", "not from 0 to 60000"),
        ("seed=5%", "no whole number"),
        ("seed=9999999999", "not from 0"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(words: str, complaint: str) -> None:
    with pytest.raises(BadChaos, match=complaint):
        parsed(words.split())


_SHARES = st.integers(0, 25)


@given(
    st.builds(
        Chaos,
        busy_pct=_SHARES,
        trunk_503_pct=_SHARES,
        no_bye_pct=_SHARES,
        wrong_codec_pct=_SHARES,
        loss_pct=st.integers(0, 50),
        delay_ms=st.integers(0, 60_000),
        seed=st.none() | st.integers(0, 2**31 - 1),
    )
)
def test_what_is_written_and_stored_is_read_again(chaos: Chaos) -> None:
    assert from_dict(chaos.as_dict() | {"of_another_version": 1}) == chaos
    assert written(chaos) == "off" if not chaos.is_on else parsed(written(chaos).split()) == chaos
