from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.exceptions import InputError
from crossmargin.whatif.quantities import UNITS, read_quantity, read_trade


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("-500", -500),
        ("+500", 500),
        ("100mm", 100_000_000),
        ("100 MM", 100_000_000),
        ("2.5mm", 2_500_000),
        ("5k", 5_000),
        ("1_000_000", 1_000_000),
        ("100,000,000", 100_000_000),
        ("-1,500.5k", -1_500_500),
        ("1b", 10**9),
        ("1.25bn", 1_250_000_000),
        # A float would not hold it.
        ("9007199254740993", 9_007_199_254_740_993),
        ("0.123456789b", 123_456_789),
    ],
)
def test_a_quantity_is_read_exactly(text: str, number: int) -> None:
    assert read_quantity(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *("", "five", "5m", "1,00", "1,0000", "1__000", "1.5", "1.0001k", "1e6", "--5", "$5"),
        *("5 x", "nan", "inf", "٣", "0x10", "5%", "1.", ".5mm", "9" * 5000),
    ],
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as error:
        read_quantity(text)
    message = str(error.value)
    assert message.startswith(f"quantity {text[:60]!r} is not a")
    assert "\n" not in message
    assert len(message) < 200


@given(st.integers(-(10**15), 10**15), st.sampled_from([*UNITS, "MM", "Bn"]), st.booleans())
def test_a_whole_number_comes_back(number: int, unit: str, separated: bool) -> None:
    text = f"{number:,}{unit}" if separated else f"{number}{unit}"
    assert read_quantity(text) == number * UNITS[unit.lower()]


@pytest.mark.parametrize(
    ("text", "trade"),
    [
        ("ZNM25 -500", ("ZNM25", -500)),
        ("  91282CMB4   100mm ", ("91282CMB4", 100_000_000)),
        ("91282CMB4 100 mm", ("91282CMB4", 100_000_000)),
        # Names may have blanks and digits of their own.
        ("TYM5 Comdty 1,000", ("TYM5 Comdty", 1_000)),
        ("ZN 202506 5k", ("ZN 202506", 5_000)),
    ],
)
def test_a_trade_is_a_name_and_a_quantity(text: str, trade: tuple[str, int]) -> None:
    assert read_trade(text) == trade


@pytest.mark.parametrize(
    "text", ["", "ZNM25", "-500", "ZNM25 buy", "ZNM25-500", "ZNM25 5 5x", f"Z{' ' * 99_999}x"]
)
def test_a_trade_without_either_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"an instrument and a quantity|is not a number"):
        read_trade(text)
