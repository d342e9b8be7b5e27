"""What a call costs: a price list by longest prefix, and the tariff that a call was accepted under. Pure.

Money is decimal text outside, whole millionths of the currency inside: a sum of those is exact, in Python and in the
store. A tariff is fixed when the call is accepted; who changes the list changes later calls only.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from io import StringIO
from math import ceil

MILLIONTHS = 1_000_000
ROWS_MOST = 20_000  # a carrier's whole list has fewer
SECONDS_MOST = 3600  # of an increment
AMOUNT_MOST = Decimal(10_000)  # a minute: beyond it is a slip of the pen
COLUMNS = ("prefix", "per_minute", "increment", "connect_fee")


class BadRates(ValueError):
    """A price list that cannot be meant; the text says which row and why."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """`first_s`/`increment_s`: what is billed at least once somebody answered, and the step from there (60/60, 1/1)."""

    prefix: str
    per_minute: str
    currency: str
    first_s: int = 1
    increment_s: int = 1
    connect_fee: str = "0"

    def billed_s(self, talked_s: float) -> int:
        """Seconds that an answered call is billed for."""
        beyond = max(0, ceil(talked_s - self.first_s))
        return self.first_s + -(-beyond // self.increment_s) * self.increment_s

    def millionths(self, billed_s: int) -> int:
        """The price of an answered call."""
        amount = Decimal(self.per_minute) * billed_s / 60 + Decimal(self.connect_fee)
        return int((amount * MILLIONTHS).to_integral_value(ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class Rates:
    """A price list in one currency."""

    currency: str = ""
    rows: tuple[Tariff, ...] = ()
    by_prefix: dict[str, Tariff] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, currency: str, rows: Sequence[Tariff]) -> "Rates":
        """Raises BadRates."""
        if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
            raise BadRates(f"currency: three capital letters, as in EUR, not '{currency[:10]}'")
        if len(rows) > ROWS_MOST:
            raise BadRates(f"a price list has at most {ROWS_MOST} rows")
        by_prefix: dict[str, Tariff] = {}
        for at, row in enumerate(rows, 1):
            _check(row, at)
            if row.prefix in by_prefix:
                raise BadRates(f"row {at}: the prefix {row.prefix} is there twice")
            by_prefix[row.prefix] = row
        return cls(currency, tuple(rows), by_prefix)

    def tariff(self, number: str) -> Tariff | None:
        """That of the longest prefix of these international digits."""
        found = (self.by_prefix.get(number[:length]) for length in range(len(number), 0, -1))
        return next((row for row in found if row is not None), None)


def read_rates(text: str, currency: str) -> Rates:
    """A CSV with a heading: prefix,per_minute and, where they differ from 1/1 and 0, increment,connect_fee.

    Raises BadRates.
    """
    lines = (line for line in StringIO(text.removeprefix("\ufeff")) if line.strip() and not line.startswith("#"))
    table = csv.DictReader(lines)
    strangers = [name for name in table.fieldnames or () if name not in COLUMNS]
    if strangers or not {"prefix", "per_minute"} <= set(table.fieldnames or ()):
        raise BadRates(f"the heading has to be {','.join(COLUMNS)}; the last two may be missing")
    return Rates.of(currency, [_row(row, currency, at) for at, row in enumerate(table, 1)])


def decimal_text(millionths: int) -> str:
    """As the API shows money: no exponent, no needless zeros, "0" for nothing."""
    return format((Decimal(millionths) / MILLIONTHS).normalize(), "f")


def millionths_of(text: str) -> int:
    """Raises ValueError for what is no decimal amount, zero or more."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"'{text[:20]}' is no decimal amount") from None
    if not amount.is_finite() or amount < 0 or amount > Decimal(10**9):
        raise ValueError(f"'{text[:20]}' is no decimal amount")
    return int((amount * MILLIONTHS).to_integral_value(ROUND_HALF_UP))


def _row(row: dict[str, str | None], currency: str, at: int) -> Tariff:
    increment = (row.get("increment") or "1/1").strip()
    first, _, step = increment.partition("/")
    if None in row or not (_is_digits(first) and _is_digits(step)):
        raise BadRates(f"row {at}: increment is written first/step in seconds, as in 60/60 or 1/1")
    return Tariff(
        prefix=(row["prefix"] or "").strip().removeprefix("+"),
        per_minute=(row["per_minute"] or "").strip(),
        currency=currency,
        first_s=int(first),
        increment_s=int(step),
        connect_fee=(row.get("connect_fee") or "0").strip(),
    )


def _check(row: Tariff, at: int) -> None:
    if not (_is_digits(row.prefix) and len(row.prefix) <= 15 and not row.prefix.startswith("0")):
        raise BadRates(f"row {at}: '{row.prefix[:20]}' is no prefix of international digits")
    for name, amount in (("per_minute", row.per_minute), ("connect_fee", row.connect_fee)):
        try:
            too_much = millionths_of(amount) > AMOUNT_MOST * MILLIONTHS
        except ValueError as error:
            raise BadRates(f"row {at}: {name}: {error}") from None
        if too_much:
            raise BadRates(f"row {at}: {name}: more than {AMOUNT_MOST}")
    if not (1 <= row.first_s <= SECONDS_MOST and 1 <= row.increment_s <= SECONDS_MOST):
        raise BadRates(f"row {at}: an increment is 1 to {SECONDS_MOST} seconds")


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 15
