from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from crossmargin.book.schemas import ACCOUNTS, BASIS, FIRMS, FIXINGS, POSITIONS, SECURITIES, Schema
from crossmargin.exceptions import ExceptionLog, InputError, counts
from crossmargin.io.parse import Parsed, parse
from crossmargin.io.tables import read_table

POSITION = {
    "account": "00123",
    "kind": "cash",
    "instrument": "912828E1",
    "quantity": "1000000",
    "xm": "true",
    "settle_date": "2025-03-14",
    "start_date": "",
    "end_date": "",
    "repo_rate": "",
    "start_cash": "",
    "failed": "",
    "clearing_firm": "",
}
ACCOUNT = {
    "account": "00123",
    "origin": "customer",
    "ficc_role": "sponsored_member",
    "opted_in": "yes",
    "clearing_firm": "F1",
    "customer": "C1",
    "multiplier": "",
    "floor": "",
    "minimum": "",
}
SECURITY = {
    "cusip": "912828E1",
    "coupon_pct": "4.5",
    "issue_date": "2024-03-15",
    "maturity_date": "3/15/34",
    "type": "",
    "first_coupon_date": "",
    "price": "",
    "resold_as": "",
}


def read(schema: Schema, *rows: dict[str, Any]) -> tuple[Parsed, ExceptionLog]:
    log = ExceptionLog()
    table = pa.table({name: [row.get(name, "") for row in rows] for name in rows[0]})
    return parse(table, schema, file=schema.name, log=log), log


def one_fault(schema: Schema, row: dict[str, Any], **cells: str) -> dict[str, Any]:
    """Return the one exception of a row with these cells; a good row goes before it."""
    parsed, log = read(schema, row, {**row, **cells})
    assert parsed.table["row"].to_pylist() == [1]
    assert len(log.table()) == 1
    fault: dict[str, Any] = log.table().to_pylist()[0]
    assert fault["row"] == 2
    return fault


def test_a_good_row_is_typed() -> None:
    parsed, log = read(POSITIONS, POSITION)
    assert counts(log.table()) == {}
    assert parsed.table.to_pylist() == [
        {
            "account": "00123",
            "kind": "cash",
            "instrument": "912828E1",
            "quantity": 1e6,
            "xm": True,
            "settle_date": datetime.date(2025, 3, 14),
            "start_date": None,
            "end_date": None,
            "repo_rate": None,
            "start_cash": None,
            "failed": False,
            "clearing_firm": None,
            "given_up": False,
            "ccp": None,
            "row": 1,
        }
    ]
    assert parsed.table.schema.field("quantity").type == pa.float64()
    assert parsed.table.schema.field("settle_date").type == pa.date32()


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("account", " ", "ACCOUNT_UNKNOWN"),
        ("account", "a\tb", "ACCOUNT_UNKNOWN"),
        ("account", "x" * 1001, "ACCOUNT_UNKNOWN"),
        ("kind", "bond", "KIND_UNKNOWN"),
        ("kind", "", "KIND_UNKNOWN"),
        ("instrument", "", "INSTRUMENT_UNKNOWN"),
        ("quantity", "", "QUANTITY_INVALID"),
        ("quantity", "NaN", "QUANTITY_INVALID"),
        ("quantity", "inf", "QUANTITY_INVALID"),
        ("quantity", "-Infinity", "QUANTITY_INVALID"),
        ("quantity", "1e999", "QUANTITY_INVALID"),
        ("quantity", "1e99999999999", "QUANTITY_INVALID"),
        ("quantity", "1,00", "QUANTITY_INVALID"),
        ("quantity", "1,000e3", "QUANTITY_INVALID"),
        ("quantity", "1 000", "QUANTITY_INVALID"),
        ("quantity", "0x10", "QUANTITY_INVALID"),
        ("quantity", "(-100)", "QUANTITY_INVALID"),
        ("quantity", "5%", "QUANTITY_INVALID"),
        ("quantity", "\u0663", "QUANTITY_INVALID"),
        ("quantity", "9007199254740992", "QUANTITY_INVALID"),  # 2^53
        ("xm", "maybe", "XM_UNREADABLE"),
        ("xm", "", "XM_UNREADABLE"),
        ("xm", "2", "XM_UNREADABLE"),
        ("settle_date", "2025-02-30", "DATE_INVALID"),
        ("settle_date", "2025-02-29", "DATE_INVALID"),
        ("settle_date", "13/13/2025", "DATE_INVALID"),
        ("settle_date", "32/01/2025", "DATE_INVALID"),
        ("settle_date", "20251314", "DATE_INVALID"),
        ("settle_date", "45730", "DATE_INVALID"),
        ("settle_date", "13-Mrz-2025", "DATE_INVALID"),
        ("settle_date", "2025-03-14 09:30", "DATE_INVALID"),
        ("settle_date", "1899-12-31", "DATE_INVALID"),
        ("settle_date", "3/14/125", "DATE_INVALID"),
        ("end_date", "0000-00-00", "DATE_INVALID"),
        ("repo_rate", "$4.3", "VALUE_INVALID"),
        ("repo_rate", "430", "VALUE_INVALID"),
        ("start_cash", "-1", "VALUE_INVALID"),
        ("failed", "perhaps", "VALUE_INVALID"),
        ("clearing_firm", "F\x00", "VALUE_INVALID"),
        ("clearing_firm", "#N/A", "VALUE_INVALID"),
    ],
)
def test_a_bad_position_is_rejected_with_its_code(column: str, cell: str, code: str) -> None:
    fault = one_fault(POSITIONS, POSITION, **{column: cell})
    assert (fault["code"], fault["severity"], fault["file"]) == (code, "rejected", "positions")
    assert f"`{column}`" in fault["message"]
    if column not in ("account", "instrument"):
        assert (fault["account"], fault["instrument"]) == ("00123", "912828E1")


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("account", ""),
        ("origin", "firm"),
        ("ficc_role", ""),
        ("opted_in", "?"),
        ("clearing_firm", ""),
        ("multiplier", "-1"),
        ("floor", "abc"),
        ("minimum", "-0.01"),
    ],
)
def test_a_bad_account_is_rejected(column: str, cell: str) -> None:
    assert one_fault(ACCOUNTS, ACCOUNT, **{column: cell})["code"] == "ACCOUNT_INVALID"


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("cusip", ""),
        ("coupon_pct", "-0.125"),
        ("coupon_pct", "31"),
        ("issue_date", ""),
        ("maturity_date", "never"),
        ("type", "cmb"),
        ("first_coupon_date", "2025-13-01"),
        ("price", "0.0"),
    ],
)
def test_a_bad_security_is_rejected(column: str, cell: str) -> None:
    assert one_fault(SECURITIES, SECURITY, **{column: cell})["code"] == "SECURITY_INVALID"


def test_a_bad_firm_is_rejected() -> None:
    firm = {
        "clearing_firm": "F1",
        "broker_dealer": "1",
        "fcm": "T",
        "cme_member": "No",
        "ficc_member": "TRUE",
    }
    parsed, _ = read(FIRMS, firm)
    assert parsed.table.drop_columns(["clearing_firm", "row"]).to_pylist() == [
        {"broker_dealer": True, "fcm": True, "cme_member": False, "ficc_member": True}
    ]
    assert one_fault(FIRMS, firm, fcm="")["code"] == "FIRM_INVALID"


def test_each_bad_cell_of_a_row_is_listed() -> None:
    _, log = read(POSITIONS, {**POSITION, "quantity": "x", "xm": "x"})
    assert counts(log.table()) == {"QUANTITY_INVALID": 1, "XM_UNREADABLE": 1}


@pytest.mark.parametrize(
    ("text", "number"),
    [("+5", 5.0), ("5.", 5.0), (".5", 0.5), ("1e6", 1e6), (" -2.50 ", -2.5), ("0.1", 0.1)],
)
def test_numbers(text: str, number: float) -> None:
    parsed, _ = read(POSITIONS, {**POSITION, "quantity": text})
    assert parsed.table["quantity"].to_pylist() == [number]


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-04",
        "2025-3-4",
        "3/4/2025",
        "03/04/2025",
        "3/4/25",
        "2025-03-04 00:00:00",
        "2025-03-04T00:00:00.000Z",
        " 2025-03-04 ",
    ],
)
def test_dates(text: str) -> None:
    parsed, _ = read(POSITIONS, {**POSITION, "settle_date": text})
    assert parsed.table["settle_date"].to_pylist() == [datetime.date(2025, 3, 4)]


def test_one_date_with_the_day_first_tells_for_all_columns_of_a_file() -> None:
    repo = {**POSITION, "kind": "repo", "settle_date": "", "start_date": "04/03/2025"}
    parsed, log = read(POSITIONS, {**POSITION, "settle_date": "17/03/2025"}, repo)
    assert parsed.table["settle_date"].to_pylist() == [datetime.date(2025, 3, 17), None]
    assert parsed.table["start_date"].to_pylist() == [None, datetime.date(2025, 3, 4)]
    note = "dates with slashes have the day first: `settle_date` has 1 such as 17/03/2025"
    assert parsed.notes == (note,)
    assert log.table().select(["code", "row", "message"]).to_pylist() == [
        {"code": "READ_AS", "row": None, "message": note}
    ]


def test_dates_that_can_be_read_both_ways_are_rejected_where_both_orders_are() -> None:
    dates = ("17/03/2025", "03/17/2025", "04/03/2025", "05/05/2025", "2025-03-04", "x")
    parsed, log = read(POSITIONS, *({**POSITION, "settle_date": date} for date in dates))
    assert parsed.table["row"].to_pylist() == [1, 2, 4, 5]
    faults = [fault for fault in log.table().to_pylist() if fault["code"] == "DATE_INVALID"]
    assert [fault["row"] for fault in faults] == [3, 6]
    assert '"04/03/2025": unclear: the file has' in faults[0]["message"]
    assert '"x": not a date' in faults[1]["message"]


def test_numbers_that_can_be_read_both_ways_are_rejected_with_the_reason() -> None:
    numbers = ("1,000", "4,25", "(2,000)", "100")
    parsed, log = read(POSITIONS, *({**POSITION, "quantity": number} for number in numbers))
    assert parsed.table["quantity"].to_pylist() == [100.0]
    messages = log.table()["message"].to_pylist()
    assert len(messages) == 3
    assert all("its comma or point may be the decimal mark" in message for message in messages)


def test_how_numbers_were_read_is_told_by_column() -> None:
    parsed, log = read(POSITIONS, {**POSITION, "quantity": "(1,000)", "repo_rate": "4.25%"})
    assert parsed.table["quantity"].to_pylist() == [-1000.0]
    assert parsed.table["repo_rate"].to_pylist() == [4.25]
    assert parsed.notes == (
        '`quantity`: "(1,000)" is read as -1000',
        '`repo_rate`: "4.25%" is read as 4.25',
    )
    assert counts(log.table()) == {"READ_AS": 2}


def test_two_digit_years_turn_at_69_and_leap_days_exist() -> None:
    rows = [{**SECURITY, "maturity_date": d} for d in ("2/29/68", "1/1/69", "2/29/2000")]
    parsed, _ = read(SECURITIES, *rows)
    assert parsed.table["maturity_date"].to_pylist() == [
        datetime.date(2068, 2, 29),
        datetime.date(1969, 1, 1),
        datetime.date(2000, 2, 29),
    ]


@pytest.mark.parametrize("word", ["", " ", "null", "NULL", "NA", "n/a", "nan", "None", "ND"])
def test_missing_words_in_optional_columns(word: str) -> None:
    parsed, log = read(
        POSITIONS,
        {**POSITION, "settle_date": word, "repo_rate": word, "failed": word, "clearing_firm": word},
    )
    assert counts(log.table()) == {}
    row = parsed.table.to_pylist()[0]
    assert (row["settle_date"], row["repo_rate"], row["clearing_firm"]) == (None, None, None)
    assert row["failed"] is False


def test_an_identifier_may_be_called_na() -> None:
    parsed, log = read(ACCOUNTS, {**ACCOUNT, "account": "NA", "clearing_firm": "null"})
    assert counts(log.table()) == {}
    assert parsed.table.select(["account", "clearing_firm"]).to_pylist() == [
        {"account": "NA", "clearing_firm": "null"}
    ]


def test_defaults_stand_for_missing_cells_and_columns() -> None:
    parsed, _ = read(ACCOUNTS, {k: v for k, v in ACCOUNT.items() if k != "minimum"})
    row = parsed.table.to_pylist()[0]
    assert (row["multiplier"], row["floor"], row["minimum"]) == (1.0, 0.0, 0.0)


def test_choices_ignore_case_and_leave_as_we_write_them() -> None:
    parsed, _ = read(FIXINGS, {"date": "2025-03-13", "index": "sofr", "rate_pct": "4.3"})
    assert parsed.table["index"].to_pylist() == ["SOFR"]


def test_blank_rows_are_not_rows_but_keep_the_count() -> None:
    blank = dict.fromkeys(POSITION, " ")
    parsed, log = read(POSITIONS, POSITION, blank, POSITION)
    assert parsed.table["row"].to_pylist() == [1, 3]
    assert parsed.rows_read == 2
    assert counts(log.table()) == {}


def test_a_row_with_something_in_an_unknown_column_is_not_blank() -> None:
    blank = dict.fromkeys(ACCOUNT, "")
    parsed, log = read(ACCOUNTS, {**ACCOUNT, "desk": ""}, {**blank, "desk": "rates"})
    assert parsed.rows_read == 2
    assert counts(log.table())["ACCOUNT_INVALID"] == 5  # the five required cells


def test_a_missing_column_is_named_with_the_one_that_may_be_meant() -> None:
    row = {("quanttity" if k == "quantity" else k): v for k, v in POSITION.items()}
    with pytest.raises(InputError, match="`quantity` is missing; rename `quanttity` to `quant"):
        read(POSITIONS, row)
    with pytest.raises(InputError, match=r"`kind`, `instrument`, .* the file has `account`"):
        read(POSITIONS, {"account": "a"})


@pytest.mark.parametrize("name", ["clearingfirm", "clearing_frm"])
def test_a_near_name_is_a_warning(name: str) -> None:
    row = {k: v for k, v in POSITION.items() if k != "clearing_firm"} | {name: "F9"}
    parsed, log = read(POSITIONS, row)
    assert parsed.table["clearing_firm"].to_pylist() == [None]
    assert parsed.extra_columns == (name,)
    assert log.table()["code"].to_pylist() == ["COLUMN_NAME_NEAR"]
    assert "`clearing_firm`" in parsed.warnings[0]


@pytest.mark.parametrize("name", ["Clearing Firm", "clearing-firm", "CLEARING.FIRM"])
def test_case_blanks_dots_and_hyphens_of_a_name_do_not_matter(name: str) -> None:
    row = {k: v for k, v in POSITION.items() if k != "clearing_firm"} | {name: "F9"}
    parsed, log = read(POSITIONS, row)
    assert parsed.table["clearing_firm"].to_pylist() == ["F9"]
    assert parsed.extra_columns == ()
    assert parsed.notes == (f"column `{name}` is read as `clearing_firm`",)
    assert counts(log.table()) == {"READ_AS": 1}


def test_a_name_that_two_columns_may_mean_is_left_alone() -> None:
    parsed, log = read(POSITIONS, {**POSITION, "Clearing Firm": "F9"})
    assert parsed.table["clearing_firm"].to_pylist() == [None]
    assert counts(log.table()) == {"COLUMN_NAME_NEAR": 1}


def test_extra_columns_are_carried_for_accounts_and_listed_elsewhere() -> None:
    parsed, log = read(ACCOUNTS, {**ACCOUNT, "desk": "rates", "row": "9"})
    assert parsed.table["desk"].to_pylist() == ["rates"]
    assert parsed.table["row"].to_pylist() == [1]
    assert parsed.extra_columns == ("desk", "row")
    assert len(parsed.warnings) == 1
    parsed, _ = read(POSITIONS, {**POSITION, "trader": "x"})
    assert parsed.extra_columns == ("trader",)
    assert "trader" not in parsed.table.column_names
    assert counts(log.table()) == {}


def test_a_hole_in_a_market_history_stops_the_run() -> None:
    good = {"date": "2025-03-13", "root": "ZN", "contract": "ZNM25", "basis": "-0.1"}
    with pytest.raises(InputError, match='basis, row 2: `basis` is "abc": not a finite number'):
        read(BASIS, good, {**good, "basis": "abc"})
    with pytest.raises(InputError, match="row 1: `date` is blank"):
        read(BASIS, {**good, "date": ""})
    # A placeholder that parses: SOFR of -500 on every row.
    with pytest.raises(InputError, match='fixings, row 1: `rate_pct` is "-500": outside -5 to 30'):
        read(FIXINGS, {"date": "2020-01-02", "index": "SOFR", "rate_pct": "-500"})
    parsed, _ = read(FIXINGS, {"date": "2020-01-01", "index": "SOFR", "rate_pct": ""})
    assert parsed.table["rate_pct"].to_pylist() == [None]


def test_messages_are_short_and_printable() -> None:
    fault = one_fault(POSITIONS, POSITION, kind="\x1b[31m" + "y" * 5000)
    assert "\x1b" not in fault["message"]
    assert len(fault["message"]) < 150


TYPED = {
    "account": ["A"],
    "kind": ["cash"],
    "instrument": ["X"],
    "quantity": [100],
    "xm": [True],
    "settle_date": [datetime.date(2025, 3, 14)],
}


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ({"quantity": [100.0]}, {"quantity": 100.0}),
        ({"quantity": [decimal.Decimal("100.00")]}, {"quantity": 100.0}),
        ({"xm": [1]}, {"xm": True}),
        ({"xm": [0.0]}, {"xm": False}),
        ({"account": [123]}, {"account": "123"}),
        (
            {"settle_date": [datetime.datetime(2025, 3, 14)]},
            {"settle_date": datetime.date(2025, 3, 14)},
        ),
        ({"settle_date": [None]}, {"settle_date": None}),
        ({"settle_date": ["3/14/25"]}, {"settle_date": datetime.date(2025, 3, 14)}),
    ],
)
@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_typed_tables(cells: dict[str, Any], wanted: dict[str, Any], library: Any) -> None:
    log = ExceptionLog()
    table = read_table(library({**TYPED, **cells}), name="positions").table
    parsed = parse(table, POSITIONS, file="positions", log=log)
    assert counts(log.table()) == {}
    row = parsed.table.to_pylist()[0]
    assert {name: row[name] for name in wanted} == wanted


def test_a_local_midnight_is_its_local_day() -> None:
    zone = pa.timestamp("us", tz="America/New_York")
    when = pa.array([datetime.datetime(2025, 3, 14, 4, tzinfo=datetime.UTC)], zone)
    table = pa.table({**TYPED, "settle_date": when})
    parsed = parse(table, POSITIONS, file="offset_rate", log=ExceptionLog())
    assert parsed.table["settle_date"].to_pylist() == [datetime.date(2025, 3, 14)]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"quantity": [np.inf]}, "QUANTITY_INVALID"),
        ({"quantity": [np.nan]}, "QUANTITY_INVALID"),
        ({"quantity": [2**60]}, "QUANTITY_INVALID"),
        ({"xm": [2]}, "XM_UNREADABLE"),
        ({"xm": [None]}, "XM_UNREADABLE"),
        ({"settle_date": [datetime.datetime(2025, 3, 14, 9)]}, "DATE_INVALID"),
        ({"settle_date": [datetime.date(9999, 12, 31)]}, "DATE_INVALID"),
        ({"settle_date": pa.array([2**62]).cast(pa.timestamp("s"))}, "DATE_INVALID"),
        ({"settle_date": pa.array([-(2**31)], pa.int32()).cast(pa.date32())}, "DATE_INVALID"),
    ],
)
def test_typed_bad_cells_are_rejected(cells: dict[str, Any], code: str) -> None:
    log = ExceptionLog()
    parsed = parse(pa.table({**TYPED, **cells}), POSITIONS, file="positions", log=log)
    assert len(parsed.table) == 0
    assert counts(log.table()) == {code: 1}


@pytest.mark.parametrize(
    "cells",
    [
        {"account": [1.5]},
        {"account": [["nested"]]},
        {"settle_date": [20250314]},
        {"quantity": [True]},
        {"kind": [1]},
        {"settle_date": pa.array([0]).cast(pa.timestamp("s", tz="Nowhere/Land"))},
    ],
)
def test_a_type_that_cannot_be_meant_is_refused(cells: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"`{next(iter(cells))}` holds .* give it as"):
        parse(pa.table({**TYPED, **cells}), POSITIONS, file="positions", log=ExceptionLog())


def test_chunks_do_not_matter() -> None:
    rows = [{**POSITION, "quantity": str(q), "xm": x} for q, x in ((1, "t"), (2, "?"), (3, "f"))]
    table = pa.table({name: [row[name] for row in rows] for name in POSITION})
    split = pa.concat_tables([table.slice(i, 1) for i in range(3)] + [table.slice(0, 0)])
    whole_log, split_log = ExceptionLog(), ExceptionLog()
    whole = parse(table, POSITIONS, file="offset_rate", log=whole_log)
    parts = parse(split, POSITIONS, file="offset_rate", log=split_log)
    assert whole == Parsed(parts.table, parts.extra_columns, parts.warnings, parts.rows_read)
    assert whole_log.table() == split_log.table()


def test_an_empty_table_is_no_error() -> None:
    for schema, row in ((POSITIONS, POSITION), (ACCOUNTS, ACCOUNT), (SECURITIES, SECURITY)):
        empty = pa.table({name: pa.array([], pa.string()) for name in row})
        parsed = parse(empty, schema, file=schema.name, log=ExceptionLog())
        assert (len(parsed.table), parsed.rows_read) == (0, 0)


def test_a_file_of_bad_cells_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossmargin.io.parse.MAX_FAULTS", 3)
    bad = {**POSITION, "quantity": "x", "xm": "x"}
    assert len(read(POSITIONS, POSITION, bad)[1].table()) == 2
    with pytest.raises(InputError, match="more than 3 cells cannot be read, in `xm` the first in"):
        read(POSITIONS, bad, bad)
