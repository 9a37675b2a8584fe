"""Observed margins: which row counts, and what is set aside, noted or refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.book.observed_margins import ObservedMargin, read_observed_margins
from crossmargin.book.schemas import OBSERVED_MARGINS
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.instruments.contracts import Contract
from crossmargin.io.parse import parse

AS_OF = np.datetime64("2025-03-13")
NAMES = ("instrument", "date", "maintenance")


def read(*rows: tuple[str, str, str]) -> tuple[tuple[ObservedMargin, ...], ExceptionLog]:
    cells = dict(zip(NAMES, zip(*rows, strict=True), strict=True))
    table = pa.table({name: pa.array(column, pa.string()) for name, column in cells.items()})
    log = ExceptionLog()
    typed = parse(table, OBSERVED_MARGINS, file="observed_margins", log=log).table
    return read_observed_margins(typed, as_of=AS_OF, log=log), log


def said(log: ExceptionLog) -> list[tuple[str, int | None, str]]:
    return [(row["code"], row["row"], row["message"]) for row in log.table().to_pylist()]


def amounts(margins: tuple[ObservedMargin, ...]) -> dict[str, tuple[str, float]]:
    return {one.instrument: (str(one.date), one.maintenance) for one in margins}


def test_the_latest_row_counts_that_is_not_after_the_day() -> None:
    found, log = read(
        ("ZN", "2025-01-02", "1900"),
        ("ZN", "2025-03-13", "2000"),
        ("ZN", "2025-03-14", "2100"),
        ("ZN", "2024-11-04", "1800"),
    )
    assert found == (ObservedMargin("ZN", AS_OF, 2000.0),)
    assert said(log) == [
        ("READ_AS", None, "rows dated after the as-of date 2025-03-13 are left out: 1")
    ]


def test_roots_and_contracts_are_read_in_any_spelling_and_put_in_order() -> None:
    found, log = read(
        ("tyu5 comdty", "2025-02-03", "2100"),
        ("21M5", "2025-02-03", "2000.5"),
        ("sr3", "2025-02-03", "450"),
        ("TY", "2025-02-03", "1900"),
        ("ZT", "2025-02-03", "1000"),
    )
    assert list(amounts(found)) == ["ZT", "ZN", "ZNM25", "ZNU25", "SR3"]
    assert found[2].contract == Contract("ZN", np.datetime64("2025-06"))
    assert found[2].maintenance == 2000.5
    assert said(log) == []


def test_a_year_of_one_digit_is_that_of_the_rows_own_date() -> None:
    found, log = read(("ZNM5", "2015-03-02", "1500"), ("ZNM5", "2025-02-03", "2000"))
    assert amounts(found) == {"ZNM25": ("2025-02-03", 2000.0)}
    assert said(log) == [("READ_AS", None, "ZNM15: expired by 2025-03-13; their rows are left out")]


def test_a_margin_may_be_older_than_the_listing_of_its_contract() -> None:
    found, log = read(("ZNU5", "2024-10-01", "2000"), ("ZNZ25", "2024-10-01", "2000"))
    assert amounts(found) == {"ZNU25": ("2024-10-01", 2000.0)}
    assert [(code, row) for code, row, _ in said(log)] == [("CONTRACT_UNKNOWN", 2)]
    assert "not listed yet on 2025-03-13" in said(log)[0][2]


def test_bad_rows_are_set_aside_and_the_others_are_used() -> None:
    found, log = read(
        ("ZN", "2025-01-02", "1900"),
        ("ZN", "2025-02-02", "nan"),
        ("ZN", "2025-02-03", "0"),
        ("ZN", "2025-02-04", "-5"),
        ("ZN", "2025-02-05", "100001"),
        ("ZN", "2025-02-30", "1000"),
        ("ZN", "", "1000"),
        ("ZNM", "2025-01-02", "300"),
        ("", "2025-01-02", "300"),
        ("ZN", "2025-02-06", "inf"),
    )
    assert amounts(found) == {"ZN": ("2025-01-02", 1900.0)}
    codes = [(code, row) for code, row, _ in said(log)]
    assert codes == [
        ("VALUE_INVALID", 2),
        ("VALUE_INVALID", 3),
        ("VALUE_INVALID", 4),
        ("VALUE_INVALID", 5),
        ("DATE_INVALID", 6),
        ("DATE_INVALID", 7),
        ("CONTRACT_UNKNOWN", 8),
        ("CONTRACT_UNKNOWN", 9),
        ("VALUE_INVALID", 10),
    ]
    assert "'ZNM' is not a known futures contract" in said(log)[6][2]


def test_other_products_are_left_out_with_one_note() -> None:
    found, log = read(
        ("GE", "2025-01-02", "300"),
        ("ZN", "2025-01-02", "1900"),
        ("gem5 Comdty", "2025-01-02", "310"),
        ("6E", "2025-01-02", "2000"),
        ("GE", "2025-02-03", "nan"),
        ("ZNMM5", "2025-02-03", "1900"),
        ("ZN:TUT", "2025-02-03", "1900"),
        ("ZNX5", "2025-02-03", "1900"),
    )
    assert amounts(found) == {"ZN": ("2025-01-02", 1900.0)}
    rejected = [(code, row) for code, row, _ in said(log) if row is not None]
    assert sorted(rejected, key=lambda one: one[1]) == [
        ("VALUE_INVALID", 5),
        ("CONTRACT_UNKNOWN", 6),
        ("CONTRACT_UNKNOWN", 7),
        ("CONTRACT_UNKNOWN", 8),
    ]
    noted = [one for one in said(log) if one[1] is None]
    message = "3 rows of products that are not margined here: 6E, GE"
    assert noted == [("READ_AS", None, message)]
    _, log = read(("GE", "2025-01-02", "300"), ("ZN", "2025-01-02", "1900"))
    assert said(log) == [("READ_AS", None, "1 row of products that are not margined here: GE")]


def test_an_old_margin_is_noted() -> None:
    _, log = read(
        ("ZN", "2024-03-13", "1900"), ("ZB", "2024-03-12", "3000"), ("ZT", "2022-02-08", "500")
    )
    assert said(log) == [
        (
            "OBSERVED_STALE",
            None,
            "in force for more than 365 days on 2025-03-13: ZT since 2022-02-08, ZB since "
            "2024-03-12; if there are later margins, give them too",
        )
    ]


def test_two_amounts_on_one_date_are_refused_and_one_given_twice_is_not() -> None:
    twice = ("ZNM5", "2025-02-03", "2000")
    assert amounts(read(twice, ("TYM25", "2025-02-03", "2,000"))[0]) == {
        "ZNM25": ("2025-02-03", 2000.0)
    }
    with pytest.raises(
        InputError,
        match="observed_margins, row 2: ZNM25 has a `maintenance` of 2100 on 2025-02-03, and of "
        "2000 in row 1; keep one",
    ):
        read(twice, ("TYM25", "2025-02-03", "2100"))


def test_a_file_of_later_margins_is_refused() -> None:
    with pytest.raises(InputError, match="no margin is in force on 2025-03-13"):
        read(("ZN", "2025-03-14", "2000"))


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["ZN", "ZT", "ZNM25"]), st.integers(-40, 20)),
        st.integers(1, 100_000),
        min_size=1,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_never_matters(
    margins: dict[tuple[str, int], int], random: object
) -> None:
    rows = [(name, str(AS_OF + day), str(usd)) for (name, day), usd in margins.items()]
    in_force = {key: usd for key, usd in margins.items() if key[1] <= 0}
    if not in_force:
        return
    wanted = {}
    for name in {name for name, _ in in_force}:
        day = max(day for other, day in in_force if other == name)
        wanted[name] = (str(AS_OF + day), float(in_force[name, day]))
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert amounts(read(*rows)[0]) == wanted
