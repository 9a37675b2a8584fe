from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.io.numbers import read_numbers


def read(
    *words: str, point: bool = True, percent: bool = False, thousands: bool = True
) -> tuple[list[float | None], list[bool]]:
    numbers = read_numbers(
        pa.array(words, pa.string()), point=point, percent=percent, thousands=thousands
    )
    return numbers.value.to_pylist(), numbers.unclear.tolist()


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("1,000", 1000.0),
        ("1,000,000.25", 1000000.25),
        ("-1,000", -1000.0),
        ("(1,000)", -1000.0),
        ("(100)", -100.0),
        ("1,000-", -1000.0),
        ("100-", -100.0),
        ("$1,000", 1000.0),
        ("-$1,000.50", -1000.5),
        ("($1,000)", -1000.0),
        ("$(1,000)", -1000.0),
    ],
)
def test_amounts_as_accountants_write_them(word: str, number: float) -> None:
    assert read("5", word) == ([5.0, number], [False, False])


@pytest.mark.parametrize(
    "word",
    [
        *("4,25", "1,0000", "12,34,567", "1,000,00", "0,125", ",000", "1,000,", "1.000,50"),
        *(
            "(-1)",
            "--1",
            "1--",
            "(1",
            "1)",
            "-1-",
            "€1",
            "1 000",
            "1'000",
            "1_000",
            "4%",
            "()",
            "$",
        ),
        *(".", ",", "-", "1.000.000", "1.2.3", "1,000e3"),
    ],
)
def test_what_is_no_number_is_not_guessed(word: str) -> None:
    assert read("5", word)[0] == [5.0, None]


def test_percent_signs_stand_in_columns_of_percent_alone() -> None:
    words = ("4.25%", "4.25 %", "-0.5%", "(0.5%)", "1,000%", "$4")
    wanted = [4.25, 4.25, -0.5, -0.5, 1000.0, None]
    assert read(*words, percent=True)[0] == wanted
    assert read(*words)[0] == [None] * 5 + [4.0]


def test_a_decimal_comma_beside_them_makes_thousands_unclear() -> None:
    # 1,000 may be a thousand or one.
    assert read("1,000", "4,25", "7.5") == ([None, None, 7.5], [True, True, False])
    assert read("1,000,000", "0,125") == ([None, None], [True, True])


def test_a_decimal_comma_makes_points_before_three_digits_unclear() -> None:
    # 1.000 may be one or a thousand, as the point of 10.000.000 parts thousands.
    assert read("1.000", "10.000.000", "7.5") == ([None, None, 7.5], [True, True, False])
    assert read("-1.000", "4,25", "100") == ([None, None, 100.0], [True, True, False])
    assert read("1.000", "4.25", "1,000") == ([1.0, 4.25, 1000.0], [False] * 3)


def test_a_decimal_comma_makes_a_point_before_three_digits_unclear() -> None:
    # 1.000 is a thousand beside 1.000,50.
    assert read("1.000,50", "1.000", "7") == ([None, None, 7.0], [True, True, False])


def test_no_mark_parts_thousands_where_there_are_none() -> None:
    assert read("4.125", "3.875", point=False, thousands=False)[0] == [4.125, 3.875]
    assert read("4,125", "3,875", point=False, thousands=False)[0] == [4.125, 3.875]
    assert read("4,125", thousands=False) == ([None], [True])


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        # A decimal comma is shown, a point is not: then points part thousands.
        (("4,25", "1,125", "10.000", "1.000.000", "7"), [4.25, 1.125, 1e4, 1e6, 7.0]),
        (("1.000,50", "(1.000)", "1e6"), [1000.5, -1000.0, 1e6]),
        # A decimal point is shown: then commas part thousands.
        (("4.25", "1,000", "1.125"), [4.25, 1000.0, 1.125]),
        (("1,000,000", "1.000"), [1e6, 1.0]),
    ],
)
def test_a_column_of_a_file_without_commas_between_cells_shows_its_mark(
    words: tuple[str, ...], numbers: list[float]
) -> None:
    assert read(*words, point=False) == (numbers, [False] * len(words))


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (("1,000", "1.000", "5"), [None, None, 5.0]),
        (("4,25", "4.25", "1,000"), [None, 4.25, None]),
        (("4,25", "4.25", "1.000"), [None, 4.25, None]),
    ],
)
def test_a_column_that_shows_no_mark_or_two_is_unclear(
    words: tuple[str, ...], numbers: list[float | None]
) -> None:
    value, unclear = read(*words, point=False)
    assert value == numbers
    assert unclear == [number is None for number in numbers]


@given(st.lists(st.floats(-1e12, 1e12), min_size=1), st.booleans())
def test_our_own_forms_round_trip(numbers: list[float], point: bool) -> None:
    cents = [round(number, 2) for number in numbers]
    assert read(*(f"{cent:,.2f}" for cent in cents))[0] == cents
    mark = str.maketrans(",.", ".,")
    comma = [f"{cent:,.2f}".translate(mark) for cent in cents]
    assert read(*comma, point=False)[0] == cents


def test_the_first_unusual_form_is_told() -> None:
    numbers = read_numbers(pa.array(["5", "(1,000)", "2,000"]), point=True, percent=False)
    assert numbers.note == '"(1,000)" is read as -1000'
    assert not read_numbers(pa.array(["5", "x"]), point=True, percent=False).note
