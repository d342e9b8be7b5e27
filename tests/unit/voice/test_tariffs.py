"""Prices: the longest prefix, seconds in steps, exact sums."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.tariffs import BadRates, Rates, Tariff, decimal_text, millionths_of, read_rates

LIST = """prefix,per_minute,increment,connect_fee
# West Africa
234,0.085,60/60,0
23480,0.12,1/1,0.01
44,0.012,,
"""


def test_the_longest_prefix_counts() -> None:
    rates = read_rates(LIST, "EUR")

    found = {
        number: rates.tariff(number) for number in ("2348020000000", "2347030000000", "447400123456", "33612345678")
    }

    assert [row and (row.prefix, row.per_minute, row.first_s, row.increment_s) for row in found.values()] == [
        ("23480", "0.12", 1, 1),
        ("234", "0.085", 60, 60),
        ("44", "0.012", 1, 1),
        None,
    ]


@pytest.mark.parametrize(
    ("first", "step", "talked", "billed"),
    [
        (1, 1, 0.0, 1), (1, 1, 0.2, 1), (1, 1, 1.0, 1), (1, 1, 1.001, 2), (60, 60, 0.5, 60), (60, 60, 60.0, 60),
        (60, 60, 60.1, 120), (30, 6, 29.0, 30), (30, 6, 31.0, 36), (30, 6, 36.0, 36), (30, 6, 36.5, 42),
    ],
)  # fmt: skip
def test_seconds_are_billed_in_steps(first: int, step: int, talked: float, billed: int) -> None:
    assert Tariff("1", "1", "EUR", first, step).billed_s(talked) == billed


@pytest.mark.parametrize(
    ("per_minute", "fee", "seconds", "amount"),
    [("0.12", "0.01", 60, "0.13"), ("0.085", "0", 60, "0.085"), ("0.01", "0", 1, "0.000167"), ("0", "0", 60, "0")],
)
def test_a_call_costs_its_minutes_and_the_fee(per_minute: str, fee: str, seconds: int, amount: str) -> None:
    assert decimal_text(Tariff("1", per_minute, "EUR", connect_fee=fee).millionths(seconds)) == amount


@given(st.floats(0, 7200), st.floats(0, 7200), st.integers(1, 120), st.integers(1, 120))
def test_a_longer_call_is_never_cheaper_so_a_reservation_covers_it(a: float, b: float, first: int, step: int) -> None:
    tariff = Tariff("1", "0.0737", "EUR", first, step, "0.003")
    short, long = sorted((a, b))

    assert tariff.billed_s(short) >= short
    assert tariff.millionths(tariff.billed_s(short)) <= tariff.millionths(tariff.billed_s(long))


@pytest.mark.parametrize(
    "text",
    [
        "", "prefix\n44\n", "prefix,price\n44,1\n", "prefix,per_minute\n44,a\n", "prefix,per_minute\n44,-1\n",
        "prefix,per_minute\n44,1e99\n", "prefix,per_minute\n44,nan\n", "prefix,per_minute\n044,1\n",
        "prefix,per_minute\n4a,1\n", "prefix,per_minute\n,1\n", "prefix,per_minute\n44,1\n+44,2\n",
        "prefix,per_minute,increment\n44,1,60\n", "prefix,per_minute,increment\n44,1,0/60\n",
        "prefix,per_minute\n44,1,2,3\n", "prefix,per_minute\n44\n", "prefix,per_minute\n44,20000\n",
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(BadRates):
        read_rates(text, "EUR")


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "€"])
def test_a_currency_is_three_letters(currency: str) -> None:
    with pytest.raises(BadRates):
        Rates.of(currency, [])


@pytest.mark.parametrize("text", ["", "x", "-1", "inf", "nan", "1e30"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no decimal amount"):
        millionths_of(text)
