"""Deposits by account: sums in whole cents, and what rejected rows make unknown."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.book.deposits import Deposits, sum_deposits
from crossmargin.book.schemas import DEPOSITS
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.io.parse import parse

ACCOUNTS = pa.chunked_array([["A", "B", "C"]])


def read(*rows: tuple[Any, Any, Any]) -> tuple[Deposits, list[dict[str, Any]]]:
    log = ExceptionLog()
    cells = list(zip(*rows, strict=True)) or [(), (), ()]
    table = pa.table(
        {
            name: pa.array([str(cell) for cell in column], pa.string())
            for name, column in zip(("account", "ccp", "value"), cells, strict=True)
        }
    )
    parsed = parse(table, DEPOSITS, file=DEPOSITS.name, log=log)
    return sum_deposits(parsed.table, ACCOUNTS, log), log.table().to_pylist()


def test_rows_of_an_account_add_up_at_each_clearing_house() -> None:
    found, logged = read(
        ("A", "FICC", "100.10"),
        ("B", "cme", "7"),
        ("A", "CME", "0.01"),
        ("A", "FICC", "1000.20"),
    )
    assert found.ficc.tolist() == [1100_30, 0, 0]
    assert found.cme.tolist() == [1, 7_00, 0]
    assert found.known.all()
    assert logged == []


def test_each_row_is_rounded_to_the_cent() -> None:
    found, _ = read(("A", "FICC", "0.005"), ("A", "FICC", "0.005"), ("B", "CME", "0.0049"))
    assert (found.ficc[0], found.cme[1]) == (2, 0)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (("A", "LCH", "1"), "CCP_UNKNOWN"),
        (("A", "", "1"), "CCP_UNKNOWN"),
        (("A", "CME", ""), "VALUE_INVALID"),
        (("A", "CME", "NaN"), "VALUE_INVALID"),
        (("A", "CME", "inf"), "VALUE_INVALID"),
        (("A", "CME", "-0.01"), "VALUE_INVALID"),
        (("A", "CME", "1e14"), "VALUE_INVALID"),
        (("A", "CME", "1e400"), "VALUE_INVALID"),
        (("A", "CME", "=1+1"), "VALUE_INVALID"),
    ],
)
def test_a_rejected_row_makes_its_account_unknown(row: tuple[str, ...], code: str) -> None:
    found, logged = read(row, ("A", "FICC", "5"), ("B", "FICC", "6"))  # type: ignore[arg-type]
    assert found.known.tolist() == [False, True, True]
    assert [(one["code"], one["row"], one["account"]) for one in logged] == [(code, 1, "A")]


def test_a_row_of_an_unknown_account_is_rejected_and_touches_no_other() -> None:
    found, logged = read(("Z", "FICC", "5"), ("", "FICC", "5"), ("B", "FICC", "6"))
    assert found.known.all()
    assert found.ficc.tolist() == [0, 6_00, 0]
    assert [one["code"] for one in logged] == ["ACCOUNT_UNKNOWN", "ACCOUNT_UNKNOWN"]


def test_absurd_sums_are_refused() -> None:
    with pytest.raises(InputError, match="check its unit"):
        read(*[("A", "FICC", "1e13")] * 9)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["A", "B", "C"]),
            st.sampled_from(["FICC", "CME"]),
            st.integers(0, 10**12),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_sums_are_exact(rows: list[tuple[str, str, int]]) -> None:
    found, _ = read(*((name, ccp, f"{cents // 100}.{cents % 100:02}") for name, ccp, cents in rows))
    for number, name in enumerate("ABC"):
        for ccp, column in (("FICC", found.ficc), ("CME", found.cme)):
            assert column[number] == sum(r[2] for r in rows if r[:2] == (name, ccp))
