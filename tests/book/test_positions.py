from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossmargin.book.positions import CYCLES
from crossmargin.book.schemas import POSITION_KINDS
from crossmargin.exceptions import InputError

CASH = {"kind": "cash", "instrument": "91282CMM0", "quantity": "1000000"}
FUTURE = {"kind": "future", "instrument": "ZNM25", "quantity": "-10"}
REPO = {
    "kind": "repo",
    "instrument": "91282CMM0",
    "quantity": "1000000",
    "start_date": "2025-03-12",
    "end_date": "2025-04-14",
    "repo_rate": "4.3",
    "start_cash": "1010000",
}


def test_good_rows_are_resolved(read: Any) -> None:
    trades, exceptions = read(CASH | {"account": "123", "xm": "no"}, FUTURE, REPO)
    assert exceptions == []
    assert trades.row.tolist() == [1, 2, 3]
    assert trades.account.tolist() == [1, 0, 0]
    assert [POSITION_KINDS[kind] for kind in trades.kind] == ["cash", "future", "repo"]
    assert trades.security.tolist() == [2, -1, 2]
    assert trades.contract.tolist() == [-1, 0, -1]
    assert trades.lots.tolist() == [10_000, -10, 10_000]
    assert trades.xm.tolist() == [False, True, True]
    assert trades.repo_rate[2] == 0.043
    assert trades.start_cash[2] == 1_010_000.0
    assert np.isnan(trades.start_cash[:2]).all()


@pytest.mark.parametrize(
    ("row", "code", "says"),
    [
        (CASH | {"account": "0123"}, "ACCOUNT_UNKNOWN", "'0123'"),
        (CASH | {"instrument": "91282CMM9"}, "INSTRUMENT_UNKNOWN", "'91282CMM9'"),
        (CASH | {"instrument": "ZNM25"}, "INSTRUMENT_UNKNOWN", "CUSIP 'ZNM25'"),
        (CASH | {"instrument": "912828E1A"}, "SECURITY_MATURED", "matured on 2025-03-13"),
        (FUTURE | {"instrument": "91282CMM0"}, "CONTRACT_UNKNOWN", "91282CMM0"),
        (FUTURE | {"instrument": "ZNF26"}, "CONTRACT_UNKNOWN", "no contract of month F"),
        # The last delivery of December 2024 was on the 31st.
        (FUTURE | {"instrument": "ZNZ24"}, "CONTRACT_EXPIRED", "2024-12-31"),
        (CASH | {"quantity": "1000000000100"}, "QUANTITY_INVALID", "check the units"),
        (CASH | {"quantity": "-1000000000100"}, "QUANTITY_INVALID", "check the units"),
        (FUTURE | {"quantity": "10000001"}, "QUANTITY_INVALID", "check the units"),
        (REPO | {"quantity": "-1000000"}, "QUANTITY_INVALID", "must be positive"),
        (REPO | {"kind": "reverse", "quantity": "0"}, "QUANTITY_INVALID", "must be positive"),
        (CASH | {"quantity": "1000050"}, "QUANTITY_NOT_WHOLE_LOT", "lots of 100 USD face"),
        (CASH | {"quantity": "0.01"}, "QUANTITY_NOT_WHOLE_LOT", "0.01"),
        (FUTURE | {"quantity": "1.5"}, "QUANTITY_NOT_WHOLE_LOT", "contracts"),
        (REPO | {"start_date": ""}, "DATE_INVALID", "needs start_date and end_date"),
        (REPO | {"end_date": ""}, "DATE_INVALID", "needs start_date and end_date"),
        (REPO | {"end_date": "2025-03-12"}, "DATE_INVALID", "is not after"),
        (CASH | {"settle_date": "2025-03-13"}, "SETTLED", "settled on 2025-03-13"),
        (REPO | {"end_date": "2025-03-13"}, "SETTLED", "ended on 2025-03-13"),
        (REPO | {"repo_rate": ""}, "VALUE_INVALID", "needs repo_rate"),
        # 100% over 360 days is the cash itself; -20% over five years would leave nothing to repay.
        (REPO | {"repo_rate": "100", "end_date": "2026-03-07"}, "VALUE_INVALID", "interest"),
        (REPO | {"repo_rate": "-20", "end_date": "2031-03-12"}, "VALUE_INVALID", "interest"),
    ],
)
def test_bad_row_is_rejected_by_name(read: Any, row: dict[str, str], code: str, says: str) -> None:
    trades, exceptions = read(CASH, row, FUTURE)
    assert trades.row.tolist() == [1, 3]
    assert [(e["row"], e["severity"], e["code"]) for e in exceptions] == [(2, "rejected", code)]
    assert says in exceptions[0]["message"]
    assert exceptions[0]["account"] == row.get("account", "00123")
    assert exceptions[0]["instrument"] == row["instrument"]


@pytest.mark.parametrize(
    "row",
    [
        CASH | {"quantity": "1000000000000"},
        FUTURE | {"quantity": "-10000000"},
        CASH | {"settle_date": "2025-03-14"},
        CASH | {"settle_date": "2025-03-13", "failed": "true"},
        REPO | {"repo_rate": "100", "end_date": "2026-03-06"},
        REPO | {"repo_rate": "-20", "end_date": "2028-03-12"},
        REPO | {"repo_rate": "0", "end_date": "2035-02-15"},
    ],
)
def test_row_at_the_bound_is_accepted(read: Any, row: dict[str, str]) -> None:
    trades, exceptions = read(row)
    assert (trades.row.tolist(), exceptions) == ([1], [])


def test_row_leaves_at_the_first_check_it_fails(read: Any) -> None:
    row = REPO | {"instrument": "X", "quantity": "-50", "repo_rate": "", "end_date": "2025-03-01"}
    assert [e["code"] for e in read(row)[1]] == ["INSTRUMENT_UNKNOWN"]


@pytest.mark.parametrize(("as_of", "open_"), [("2025-03-31", True), ("2025-04-01", False)])
def test_contract_lives_until_its_last_delivery(read: Any, as_of: str, open_: bool) -> None:
    # ZNH25 trades until 20 March and is delivered until 31 March 2025.
    trades, _ = read(FUTURE | {"instrument": "ZNH25"}, as_of=as_of)
    assert trades.row.tolist() == ([1] if open_ else [])


def test_names_of_one_contract_are_one_contract(read: Any) -> None:
    names = ["ZNM5", "SR3U25", "znm25", "ZTM25", "ZNU5"]
    trades, exceptions = read(*(FUTURE | {"instrument": name} for name in names))
    assert exceptions == []
    # By root as contracts.toml lists them, then by month.
    assert [c.symbol for c in trades.contracts] == ["ZTM25", "ZNM25", "ZNU25", "SR3U25"]
    assert trades.contract.tolist() == [1, 3, 1, 0, 2]


@pytest.mark.parametrize("cycle", CYCLES)
def test_legs_of_today_are_open_in_the_intraday_cycle_only(read: Any, cycle: str) -> None:
    rows = (
        CASH | {"settle_date": "2025-03-13"},
        REPO | {"end_date": "2025-03-13"},
        REPO | {"start_date": "2025-03-13"},
    )
    trades, exceptions = read(*rows, cycle=cycle)
    if cycle == "ITD":
        assert trades.row.tolist() == [1, 2, 3]
        assert trades.start_open.tolist() == [False, False, True]
        # The repo that ends today ends within ten business days.
        assert [(e["row"], e["code"]) for e in exceptions] == [(2, "REPO_ENDS")]
    else:
        assert trades.row.tolist() == [3]
        assert trades.start_open.tolist() == [False]
        assert [e["code"] for e in exceptions] == ["SETTLED", "SETTLED"]


def test_yesterday_is_settled_in_every_cycle(read: Any) -> None:
    rows = (CASH | {"settle_date": "2025-03-12"}, REPO | {"end_date": "2025-03-12"})
    rows = (rows[0], rows[1] | {"start_date": "2025-03-10"})
    for cycle in CYCLES:
        trades, exceptions = read(*rows, cycle=cycle)
        assert trades.row.size == 0
        assert [e["code"] for e in exceptions] == ["SETTLED", "SETTLED"]


def test_unknown_cycle_is_refused(read: Any) -> None:
    with pytest.raises(InputError, match="'eod' is not one of ITD, CUR, EOD, EODXM"):
        read(CASH, cycle="eod")


@pytest.mark.parametrize(
    ("start", "end", "start_open"),
    [
        # Failed on its first leg: both are open. On its last: that one is.
        ("2025-03-12", "2025-04-14", True),
        ("2025-03-14", "2025-04-14", True),
        ("2025-03-10", "2025-03-13", False),
        ("2025-03-10", "2025-03-11", False),
    ],
)
def test_failed_repo_stays_open(read: Any, start: str, end: str, start_open: bool) -> None:
    trades, exceptions = read(REPO | {"start_date": start, "end_date": end, "failed": "yes"})
    assert trades.row.tolist() == [1]
    assert trades.start_open.tolist() == [start_open]
    assert trades.end_open.tolist() == [True]
    assert exceptions == []


def test_dates_of_open_repo_legs_are_cash_dates(read: Any) -> None:
    trades, _ = read(
        CASH,
        REPO,
        REPO | {"start_date": "2025-03-20", "end_date": "2025-04-14"},
        REPO | {"start_date": "2025-03-20", "end_date": "2025-05-01"},
    )
    assert trades.cash_dates.astype(str).tolist() == ["2025-03-20", "2025-04-14", "2025-05-01"]
    assert read(CASH)[0].cash_dates.size == 0


def test_repo_that_ends_within_ten_business_days_is_noted(read: Any) -> None:
    # Ten business days after Thursday 13 March: Thursday the 27th.
    rows = [REPO | {"end_date": day} for day in ("2025-03-14", "2025-03-27", "2025-03-28")]
    trades, exceptions = read(*rows)
    assert trades.row.tolist() == [1, 2, 3]
    assert [(e["row"], e["severity"], e["code"]) for e in exceptions] == [
        (1, "note", "REPO_ENDS"),
        (2, "note", "REPO_ENDS"),
    ]


def test_only_another_clearing_firm_is_kept(read: Any) -> None:
    rows = [CASH | {"clearing_firm": firm} for firm in ("", "F1", "F2")]
    trades, _ = read(*rows, CASH | {"account": "123", "clearing_firm": "F2"})
    assert trades.firm.tolist() == [-1, -1, trades.firms.index("F2"), -1]


def test_no_rows_leave_empty_columns(read: Any) -> None:
    trades, exceptions = read(CASH | {"account": "?"})
    assert len(exceptions) == 1
    assert trades.row.size == trades.lots.size == trades.cash_dates.size == 0
    assert trades.contracts == ()


def test_spellings_of_a_cusip_are_resolved_and_noted_once(read: Any) -> None:
    names = ["91282CMM0", "91282cmm0", "US91282CMM00", "91282CMM", "91282CMM"]
    trades, exceptions = read(*(CASH | {"instrument": name} for name in names))
    assert trades.security.tolist() == [2] * 5
    assert [(e["row"], e["code"]) for e in exceptions] == [(None, "NAME_RESOLVED")]
    assert exceptions[0]["message"].startswith("2 names are written in another way: ")
    assert "US91282CMM00 is 91282CMM0" in exceptions[0]["message"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("91282CMM9", "the check digit is 0, not 9"),
        ("9.1282E+08", "a CUSIP that a spreadsheet has turned into a number"),
        ("91282CAA", "CUSIP '91282CAA', taken as 91282CAA9, has no usable row"),
        ("1234567", "in the securities table; its leading zeros may be lost"),
        ("TYM5", "if it is the contract ZNM25, its kind is future"),
    ],
)
def test_a_cusip_that_is_not_found_is_named_for_what_it_is(read: Any, name: str, says: str) -> None:
    _, exceptions = read(CASH | {"instrument": name})
    assert [e["code"] for e in exceptions] == ["INSTRUMENT_UNKNOWN"]
    assert says in exceptions[0]["message"]


def test_spellings_of_a_contract_are_resolved_and_noted_once(read: Any) -> None:
    names = ["ZNM5", "TYM5 Comdty", "ZNM25-CBT", "TYM5 Comdty"]
    trades, exceptions = read(*(FUTURE | {"instrument": name} for name in names))
    assert [contract.symbol for contract in trades.contracts] == ["ZNM25"]
    assert trades.contract.tolist() == [0] * 4
    assert [(e["row"], e["code"]) for e in exceptions] == [(None, "NAME_RESOLVED")]
    assert exceptions[0]["message"] == (
        "2 names are written in another way: TYM5 Comdty is ZNM25, ZNM25-CBT is ZNM25"
    )


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("ZBH5", "CONTRACT_EXPIRED", "ZBH5: taken as ZBH25, whose last day was 2025-03-31"),
        ("ZBH25", "CONTRACT_EXPIRED", "ZBH25: its last day was 2025-03-31"),
        ("SR3H46", "CONTRACT_UNKNOWN", "not listed yet on 2026-02-27"),
        ("SR1Z40", "CONTRACT_UNKNOWN", "not listed yet on 2026-02-27"),
        ("ZQF75", "CONTRACT_UNKNOWN", "not listed yet on 2026-02-27"),
        ("TYH6C 110", "CONTRACT_UNKNOWN", "options are not margined here"),
        ("ZNH6-ZNM6", "CONTRACT_UNKNOWN", "give one row for each of its contracts"),
    ],
)
def test_what_is_not_listed_is_not_priced(read: Any, name: str, code: str, says: str) -> None:
    trades, exceptions = read(FUTURE | {"instrument": name}, as_of="2026-02-27")
    assert trades.row.size == 0
    assert [e["code"] for e in exceptions] == [code]
    assert says in exceptions[0]["message"]


def test_a_repo_rate_like_a_decimal_is_noted(read: Any) -> None:
    rates = ["4.3", "0.043", "0", "0.2", "-0.1", "0.25"]
    trades, exceptions = read(*(REPO | {"repo_rate": rate} for rate in rates))
    assert trades.row.size == 6
    assert [(e["row"], e["code"]) for e in exceptions] == [(n, "RATE_SUSPICIOUS") for n in (2, 4)]
    assert exceptions[0]["message"].startswith(
        "repo_rate 0.043 looks like a decimal while the market's short rate is 4.30%"
    )


def test_a_file_of_decimal_repo_rates_is_refused(read: Any) -> None:
    rows = [REPO | {"repo_rate": "0.043"}] * 6
    assert len(read(*rows[:5])[1]) == 5
    assert read(*rows, REPO)[0].row.size == 7
    # Zero is zero in either unit.
    for more in ([], [REPO | {"repo_rate": "0"}], [REPO | {"repo_rate": "-0.01"}]):
        with pytest.raises(InputError, match=r"row 1: every repo_rate .* is below 0.25"):
            read(*rows, *more)
