from __future__ import annotations

import datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.io.dates import Order, read_dates, slash_order

MARCH_4 = datetime.date(2025, 3, 4)
APRIL_3 = datetime.date(2025, 4, 3)


def read(order: Order, *words: str) -> tuple[list[datetime.date | None], list[bool]]:
    value, unclear = read_dates(pa.array(words, pa.string()), order)
    return value.to_pylist(), unclear.tolist()


def order_of(**columns: list[str]) -> tuple[Order, tuple[str, ...]]:
    return slash_order(
        {name: pa.array(words, pa.string()).dictionary_encode() for name, words in columns.items()}
    )


@pytest.mark.parametrize(
    "word",
    [
        *("2025-03-04", "2025-3-4", "20250304", "04.03.2025", "4.3.25", "3/4/2025", "03/04/25"),
        *("2025/03/04", "3/4/2025 0:00", "3/4/2025 12:00:00 AM", "04.03.2025 00:00:00"),
        *("04-Mar-2025", "4-MAR-25", "4 mar 2025", "04Mar2025", "4 March 2025"),
        *("Mar 4, 2025", "March 04,2025", "mar 4 2025"),
    ],
)
def test_forms(word: str) -> None:
    assert read("month first", word) == ([MARCH_4], [False])


@pytest.mark.parametrize(
    "word",
    [
        *(
            "03-04-2025",
            "3/4/2025 9:30",
            "3/4/2025 12:00",
            "20251304",
            "202503",
            "45720",
            "31.02.2025",
            "0/4/2025",
        ),
        *(
            "4-Mär-2025",
            "4-Marc-2025",
            "Mar 2025",
            "Mar 42025",
            "3/4/025",
            "13/13/2025",
            "",
            "0.0.0",
        ),
    ],
)
def test_other_forms_are_no_dates(word: str) -> None:
    assert read("month first", word)[0] == [None]


def test_orders_of_dates_with_slashes() -> None:
    words = ("04/03/2025", "17/03/2025", "03/17/2025", "05/05/2025")
    third, fifth = datetime.date(2025, 3, 17), datetime.date(2025, 5, 5)
    none = [False] * 4
    assert read("month first", *words) == ([APRIL_3, None, third, fifth], none)
    assert read("day first", *words) == ([MARCH_4, third, None, fifth], none)
    assert read("mixed", *words) == ([None, third, third, fifth], [True, False, False, False])


@pytest.mark.parametrize(
    ("columns", "order", "note"),
    [
        ({"a": ["04/03/2025", "2025-03-17"]}, "month first", ""),
        ({"a": ["04/03/2025", "03/17/2025"]}, "month first", ""),
        ({"a": ["13/13/2025", "32/01/2025", "17/0/2025"]}, "month first", ""),
        (
            {"a": ["17/03/2025", "04/03/2025", " 17/03/2025 ", "18/03/2025"]},
            "day first",
            "dates with slashes have the day first: `a` has 3 such as 17/03/2025",
        ),
        # All columns of a file have one order.
        (
            {"a": ["04/03/2025"], "b": ["17/03/2025"]},
            "day first",
            "dates with slashes have the day first: `b` has 1 such as 17/03/2025",
        ),
        (
            {"a": ["17/03/2025"], "b": ["03/17/2025", "04/03/2025"]},
            "mixed",
            "some dates with slashes have the day first, others the month: `a` has 1 such as "
            "17/03/2025; `b` has 1 such as 03/17/2025; those that fit both orders are "
            "rejected",
        ),
    ],
)
def test_the_file_shows_its_order(columns: dict[str, list[str]], order: Order, note: str) -> None:
    assert order_of(**columns) == (order, (note,) if note else ())


@given(st.dates(datetime.date(1950, 1, 1), datetime.date(2150, 12, 31)))
def test_every_day_is_read_in_every_form(day: datetime.date) -> None:
    for form in ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d-%b-%Y", "%B %d, %Y", "%m/%d/%Y"):
        assert read("month first", day.strftime(form))[0] == [day]
    assert read("day first", day.strftime("%d/%m/%Y"))[0] == [day]
