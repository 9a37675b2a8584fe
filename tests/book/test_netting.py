from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book.netting import Lines, net, open_legs, to_book
from crossmargin.book.trades import Trades
from crossmargin.conventions import CME_OTHER, CME_XM, FICC_OTHER, FICC_XM

SECURITIES = {0: "00123AAA7", 2: "91282CMM0"}
"""The securities held below, by their number."""
DIRTY = np.array([99.0, 101.23456789])
REPO = {
    "kind": "repo",
    "instrument": "91282CMM0",
    "quantity": "1000000",
    "start_date": "2025-03-13",
    "end_date": "2025-03-31",
    "repo_rate": "4.3",
    "start_cash": "1012345.67",
}
NOTE, AT_START, AT_END = 1, 2, 3


def legs_of(trades: Trades, price: np.ndarray = DIRTY) -> list[tuple[int, int, int]]:
    """Return (trade, instrument, lots): the two securities, forward cash leg, then futures."""
    first_contract = len(SECURITIES) + trades.cash_dates.size
    legs = open_legs(
        trades,
        held=np.array(list(SECURITIES)),
        contract_at=first_contract + np.arange(len(trades.contracts)),
        price=price,
    )
    columns = (legs.trade, legs.instrument, legs.lots)
    return sorted(zip(*(c.tolist() for c in columns), strict=True))


def totals(legs: list[tuple[int, int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for _, instrument, lots in legs:
        total[instrument] = total.get(instrument, 0) + lots
    return total


def test_outright_trades_are_one_leg(read: Any) -> None:
    trades, _ = read(
        {"kind": "cash", "instrument": "00123AAA7", "quantity": "-2500000"},
        {"kind": "future", "instrument": "ZNM25", "quantity": "7"},
        {"kind": "future", "instrument": "ZTM25", "quantity": "-3"},
    )
    # Two securities, no forward cash leg, then ZTM25 and ZNM25.
    assert legs_of(trades) == [(0, 0, -25_000), (1, 3, 7), (2, 2, -3)]


def test_settled_repo_is_the_security_and_the_end_cash(read: Any) -> None:
    trades, _ = read(REPO | {"quantity": "100000000", "start_cash": "101234567.89"})
    # 101,234,567.89 * (1 + 0.043 * 18/360) = 101,452,222.2110 -> 1,014,522.22 lots.
    assert legs_of(trades) == sorted([(0, NOTE, 1_000_000), (0, 2, -1_014_522)])


def test_reverse_is_the_opposite(read: Any) -> None:
    rows = [REPO, REPO | {"start_date": "2025-03-14"}]
    for row in rows:
        seller = totals(legs_of(read(row)[0]))
        buyer = totals(legs_of(read(row | {"kind": "reverse"})[0]))
        assert buyer == {instrument: -lots for instrument, lots in seller.items()}


def test_forward_starting_repo_is_two_payments(read: Any) -> None:
    trades, _ = read(REPO | {"start_date": "2025-03-17"})
    assert trades.cash_dates.astype(str).tolist() == ["2025-03-17", "2025-03-31"]
    # Start: -CUSIP + 1,012,345.67. End, 14 days on: +CUSIP - 1,014,038.5914 -> 10,140.39 lots.
    assert legs_of(trades) == [
        (0, NOTE, -10_000),
        (0, NOTE, 10_000),
        (0, AT_START, 10_123),
        (0, AT_END, -10_140),
    ]


def test_repo_that_failed_on_its_first_leg_still_has_both(read: Any) -> None:
    trades, _ = read(REPO | {"start_date": "2025-03-12", "failed": "true"})
    # 19 days: 1,014,643.1326.
    assert totals(legs_of(trades)) == {NOTE: 0, AT_START: 10_123, AT_END: -10_146}


def test_repo_that_failed_on_its_last_leg_has_that_one(read: Any) -> None:
    dates = {"start_date": "2025-03-03", "end_date": "2025-03-12", "failed": "true"}
    # 9 days: 1,013,433.9416.
    assert legs_of(read(REPO | dates)[0]) == [(0, NOTE, 10_000), (0, 2, -10_134)]


@pytest.mark.parametrize(
    ("start_cash", "rate", "lots"),
    [
        # 149.99 * (1 + 0.01224/360) = 149.9951 is 150.00 to the cent: 1.5 lots, to the even 2.
        ("149.99", "1.224", 2),
        # 149.99 * (1 + 0.01176/360) = 149.9949 is 149.99: 1 lot.
        ("149.99", "1.176", 1),
        ("250.00", "0", 2),
        ("250.01", "0", 3),
        ("0", "4", 0),
    ],
)
def test_end_cash_is_rounded_to_the_cent_and_then_to_lots(
    read: Any, start_cash: str, rate: str, lots: int
) -> None:
    dates = {"start_date": "2025-03-12", "end_date": "2025-03-13"}
    row = REPO | dates | {"start_cash": start_cash, "repo_rate": rate}
    trades, _ = read(row, cycle="ITD")
    assert legs_of(trades) == sorted([(0, NOTE, 10_000), (0, 2, -lots)])


def test_negative_rate_lowers_the_end_cash(read: Any) -> None:
    trades, _ = read(REPO | {"repo_rate": "-0.5"})
    # 1,012,345.67 * (1 - 0.005 * 18/360) = 1,012,092.5836.
    assert totals(legs_of(trades))[2] == -10_121


def test_blank_start_cash_is_the_models_dirty_value(read: Any) -> None:
    blank = REPO | {"start_cash": "", "start_date": "2025-03-14", "repo_rate": "0"}
    trades, _ = read(REPO, blank)
    # 10,000 lots at 101.23456789: 1,012,345.6789.
    assert [leg for leg in legs_of(trades) if leg[0] == 1] == [
        (1, NOTE, -10_000),
        (1, NOTE, 10_000),
        (1, AT_START, 10_123),
        (1, AT_END, -10_123),
    ]
    legs = open_legs(trades, held=np.array([0, 2]), contract_at=np.empty(0, np.int64), price=DIRTY)
    assert legs.assumed.tolist() == [1]


def lines_of(*rows: tuple[int, int, int, bool, int]) -> Lines:
    """Net (group, segment, instrument, xm, lots)."""
    group, segment, instrument, xm, lots = (np.array(c) for c in zip(*rows, strict=True))
    why = np.array([f"{g}/{s}" for g, s in zip(group, segment, strict=True)], dtype=object)
    return net(
        group=group, segment=segment, instrument=instrument, lots=lots, xm=xm, assignment_reason=why
    )


def as_rows(lines: Lines) -> list[tuple[int, int, int, bool, int]]:
    columns = (lines.group, lines.segment, lines.instrument, lines.xm, lines.lots)
    return list(zip(*(c.tolist() for c in columns), strict=True))


def test_rows_net_within_their_key_and_never_across() -> None:
    lines = lines_of(
        (1, FICC_XM, 5, True, 10),
        (0, FICC_XM, 5, True, 10),
        (0, FICC_XM, 5, True, -4),
        (0, FICC_XM, 6, True, -4),
        (0, FICC_OTHER, 5, True, -4),
        (0, FICC_OTHER, 5, False, 4),
        (0, FICC_OTHER, 5, False, 1),
        (0, CME_XM, 9, True, 3),
        (0, CME_XM, 9, True, -3),
    )
    assert as_rows(lines) == [
        (0, FICC_XM, 5, True, 6),
        (0, FICC_XM, 6, True, -4),
        (0, FICC_OTHER, 5, False, 5),
        (0, FICC_OTHER, 5, True, -4),
        (1, FICC_XM, 5, True, 10),
    ]
    assert lines.assignment_reason.tolist() == ["0/0", "0/0", "0/2", "0/2", "1/0"]


def test_book_has_each_instrument_of_a_segment_once() -> None:
    lines = lines_of(
        (2, FICC_OTHER, 5, True, -4),
        (2, FICC_OTHER, 5, False, 5),
        (2, CME_OTHER, 7, True, -2),
        (2, CME_OTHER, 7, False, 2),
        (0, CME_XM, 6, True, 3),
    )
    book = to_book(lines, groups=4, instruments=9)
    # Rows are group * 4 + segment; -4 and 5 are one portfolio, -2 and 2 leave nothing.
    assert book.rows == 16
    filled = {r: (book.row_ptr[r], book.row_ptr[r + 1]) for r in range(16)}
    assert {r for r, (a, b) in filled.items() if b > a} == {1, 10}
    assert book.column.tolist() == [6, 5]
    assert book.quantity.tolist() == [3.0, 1.0]


def test_no_trades_are_an_empty_book() -> None:
    none = np.empty(0, np.int64)
    lines = net(
        group=none,
        segment=none,
        instrument=none,
        lots=none,
        xm=none.astype(bool),
        assignment_reason=none.astype(object),
    )
    assert lines.lots.size == 0
    book = to_book(lines, groups=3, instruments=4)
    assert book.rows == 12
    assert book.column.size == 0


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from([FICC_XM, CME_XM, FICC_OTHER, CME_OTHER]),
            st.integers(0, 4),
            st.booleans(),
            st.integers(-3, 3),
        ),
        min_size=1,
        max_size=30,
    ),
    data=st.data(),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_order_of_trades_gives_the_same_book(rows: Any, data: Any) -> None:
    lines, shuffled = lines_of(*rows), lines_of(*data.draw(st.permutations(rows)))
    assert as_rows(lines) == as_rows(shuffled)
    assert (lines.lots != 0).all()
    keys = [row[:4] for row in as_rows(lines)]
    assert len(set(keys)) == len(keys)
    one, other = (to_book(x, groups=3, instruments=5) for x in (lines, shuffled))
    for name in ("row_ptr", "column", "quantity"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    # Nothing is lost: every (group, segment, instrument) has the sum of its rows.
    expected: dict[tuple[int, int], int] = {}
    for group, segment, instrument, _, lots in rows:
        cell = (group * 4 + segment, instrument)
        expected[cell] = expected.get(cell, 0) + lots
    row_of = np.repeat(np.arange(one.rows), np.diff(one.row_ptr)).tolist()
    held = dict(zip(zip(row_of, one.column.tolist(), strict=True), one.quantity, strict=True))
    assert held == {cell: lots for cell, lots in expected.items() if lots}
