"""Chaos: declared shares of bad calls, so that users can test how they take them; pure.

Shares are exact in every hundred calls, at random places among them, as a deck of cards is: "5 %" is true for a test
of a hundred calls too, and tests can count. Magic numbers and calls with an override of their own are left alone.
"""

import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from sip.sandbox.scripts import MAGIC, Final, PhoneScript, q850, script_for

DECK = 100  # calls in which each share is exact
LOSS_MOST_PCT = 50  # as an override may ask for
DELAY_MOST_MS = 60_000
SEED_MOST = 2**31 - 1
# Long enough for the call to be up and the first words to leave, shorter than any message.
GONE_AFTER_S = 1.0

_WORDS = {"busy": "busy_pct", "trunk_503": "trunk_503_pct", "no_bye": "no_bye_pct", "wrong_codec": "wrong_codec_pct"}
_WORDS |= {"loss": "loss_pct", "delay": "delay_ms", "seed": "seed"}


class BadChaos(ValueError):
    """Settings that cannot be: the text says which and why."""


class Fault(StrEnum):
    """What can be wrong with a call; one at a time."""

    BUSY = "busy"
    TRUNK_503 = "trunk_503"
    NO_BYE = "no_bye"
    WRONG_CODEC = "wrong_codec"


@dataclass(frozen=True, slots=True)
class Chaos:
    """Shares in per cent of calls: `busy_pct` 486, `trunk_503_pct` 503, `no_bye_pct` the person hangs up and the BYE
    is lost, `wrong_codec_pct` answered with a codec that was not offered. For every call: `loss_pct` of its sound in
    both directions, `delay_ms` before anything but 100 Trying. `seed`: the same order of good and bad calls each time.
    """

    busy_pct: int = 0
    trunk_503_pct: int = 0
    no_bye_pct: int = 0
    wrong_codec_pct: int = 0
    loss_pct: int = 0
    delay_ms: int = 0
    seed: int | None = None

    def __post_init__(self) -> None:
        """Raises BadChaos."""
        for name, most in (*((f"{fault}_pct", 100) for fault in Fault), ("loss_pct", LOSS_MOST_PCT)):
            if not 0 <= getattr(self, name) <= most:
                raise BadChaos(f"{name}: {getattr(self, name)} is not from 0 to {most}")
        if not 0 <= self.delay_ms <= DELAY_MOST_MS:
            raise BadChaos(f"delay_ms: {self.delay_ms} is not from 0 to {DELAY_MOST_MS}")
        if self.seed is not None and not 0 <= self.seed <= SEED_MOST:
            raise BadChaos(f"seed: {self.seed} is not from 0 to {SEED_MOST}")
        if sum(self.share(fault) for fault in Fault) > 100:
            raise BadChaos(f"{', '.join(f'{fault}_pct' for fault in Fault)}: more than 100 together")

    def share(self, fault: Fault) -> int:
        share: int = getattr(self, f"{fault}_pct")
        return share

    @property
    def is_on(self) -> bool:
        return replace(self, seed=None) != CALM

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


CALM = Chaos()


def from_dict(members: Mapping[str, Any]) -> Chaos:
    """Of `as_dict`; what is missing is its default, what is unknown is of another version and ignored."""
    known = {field.name for field in fields(Chaos)}
    return Chaos(**{name: value for name, value in members.items() if name in known})


def parsed(words: Iterable[str]) -> Chaos:
    """As people write it: `busy=10% trunk_503=5% delay=2s loss=2% no_bye=5% wrong_codec=5% seed=7`. Raises BadChaos."""
    found: dict[str, int] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if name not in _WORDS or not separator:
            raise BadChaos(f"{word!r}: write NAME=VALUE, where NAME is one of {', '.join(_WORDS)}")
        if _WORDS[name] in found:
            raise BadChaos(f"{name}: given twice")
        found[_WORDS[name]] = _ms(value) if name == "delay" else _whole(name, value)
    return Chaos(**found)


def written(chaos: Chaos) -> str:
    """As `parsed` reads it; `off` when there is none."""
    if not chaos.is_on:
        return "off"
    values = chaos.as_dict()
    units = {"delay": "ms", "seed": ""}
    given = [(word, values[member]) for word, member in _WORDS.items() if values[member] != getattr(CALM, member)]
    return " ".join(f"{word}={value}{units.get(word, '%')}" for word, value in given)


def _whole(name: str, value: str) -> int:
    bare = value if name == "seed" else value.removesuffix("%")
    if not re.fullmatch("[0-9]{1,10}", bare):
        raise BadChaos(f"{name}: {value!r} is no whole number" + ("" if name == "seed" else " of per cent, such as 5%"))
    return int(bare)


def _ms(value: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s)?", value)
    if not found:
        raise BadChaos(f"delay: {value!r} is no time such as 2s or 300ms")
    return round(float(found[1]) * (1 if found[2] == "ms" else 1000))


class Deck:
    """Deals what is wrong with each call, None: nothing."""

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos
        self._random = random.Random(chaos.seed)
        self._cards: list[Fault | None] = []

    def deal(self) -> Fault | None:
        if not self._cards:
            bad: list[Fault | None] = [fault for fault in Fault for _ in range(self._chaos.share(fault))]
            self._cards = bad + [None] * (DECK - len(bad))
            self._random.shuffle(self._cards)
        return self._cards.pop()


class Unruly:
    """The phone's `scripts` under the chaos that was declared last; calm until then."""

    def __init__(self, scripts: Callable[[str, str | None], PhoneScript] = script_for) -> None:
        self._scripts = scripts
        self.declare(CALM)

    def declare(self, chaos: Chaos) -> None:
        self.chaos, self._deck = chaos, Deck(chaos)

    def __call__(self, number: str, override: str | None = None) -> PhoneScript:
        """What the phone does on this call; deals a card. Raises BadOverride."""
        script = self._scripts(number, override)
        if not self.chaos.is_on or override or number.lstrip("+") in MAGIC:
            return script
        return troubled(script, self.chaos, self._deck.deal())


def troubled(script: PhoneScript, chaos: Chaos, fault: Fault | None) -> PhoneScript:
    """`script` with what the chaos asks for in every call, and with `fault`."""
    delay_s = chaos.delay_ms / 1000
    late = replace(script, ring_after_s=(script.ring_after_s or 0.0) + delay_s, loss=chaos.loss_pct / 100)
    match fault:
        case Fault.BUSY:
            return _refusing(late, Final(486, "Busy Here", delay_s, (q850(17, "User busy"),)))
        case Fault.TRUNK_503:
            return _refusing(late, Final(503, "Service Unavailable", delay_s))
        case Fault.NO_BYE:
            return replace(late, hangup_after_s=GONE_AFTER_S, says_bye=False)
        case Fault.WRONG_CODEC:
            return replace(late, wrong_codec=True)
        case None:
            return late


def _refusing(script: PhoneScript, final: Final) -> PhoneScript:
    return replace(script, ring_after_s=None, answer_after_s=None, final=final)
