"""Extracts of back offices in our columns."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.book.schemas import ACCOUNTS, POSITIONS
from crossmargin.exceptions import ExceptionLog, InputError, counts
from crossmargin.io.column_map import read_column_map
from crossmargin.io.market import read_market
from crossmargin.io.parse import parse
from crossmargin.io.sources import read_source

FUTURES = """
[positions]
account = "Acct No"
instrument = "Symbol"
kind = { constant = "future" }
xm = { column = "Class", values = { XM = "yes", REG = "no" } }
quantity = { column = "Qty", sign = "Side", positive = ["B", "Buy"], negative = ["S", "Sell"] }
"""
EXTRACT = (
    "Acct No,Symbol,Side,Qty,Class,Trader\n"
    "001,ZNM25,B,100,XM,jd\n"
    "001,ZNM25,Sell,250,REG,jd\n"
    "002,ZFM25,X,10,XM,jd\n"
    "002,ZFM25,,10,XM,jd\n"
    "002,ZFM25,S,-10,XM,jd\n"
    ",,,,,\n"
)


def positions(
    path: Path, text: str, columns: str, name: str = "positions"
) -> tuple[list[dict[str, Any]], ExceptionLog]:
    file = path / "positions.csv"
    file.write_text(text)
    toml = path / "columns.toml"
    toml.write_text(columns)
    log = ExceptionLog()
    read = read_source(file, name=name, column_map=read_column_map(toml))
    return parse(read.table, POSITIONS, file=name, log=log).table.to_pylist(), log


def test_an_extract_with_sides_codes_and_a_constant(tmp_path: Path) -> None:
    rows, log = positions(tmp_path, EXTRACT, FUTURES)
    assert [(r["account"], r["kind"], r["quantity"], r["xm"], r["row"]) for r in rows] == [
        ("001", "future", 100.0, True, 1),
        ("001", "future", -250.0, False, 2),
    ]
    # A side that is not known, or a sign and a side, are not guessed at.
    rejected = log.table().to_pylist()
    assert [(e["row"], e["code"]) for e in rejected] == [(n, "QUANTITY_INVALID") for n in (3, 4, 5)]
    assert rejected[0]["message"].startswith('`quantity` is "10 with Side X"')
    assert rejected[1]["message"].startswith('`quantity` is "10 with Side blank"')
    assert rejected[2]["message"].startswith('`quantity` is "-10 with Side S"')


@pytest.mark.parametrize(
    ("cell", "unit", "value"),
    [
        ("1.005", "thousand", 1005.0),  # 1.005 * 1000 is 1004.9999999999999 in floating point
        ("0.1", "million", 100_000.0),
        ("1.1", "thousand", 1100.0),
        ("-12.5", "million", -12_500_000.0),
        ("7", "one", 7.0),
    ],
)
def test_units_are_exact(tmp_path: Path, cell: str, unit: str, value: float) -> None:
    toml = f'[positions]\nquantity = {{ column = "Face", unit = "{unit}" }}\n'
    text = f"account,kind,instrument,Face,xm\nA,cash,91282CMM0,{cell},yes\n"
    rows, log = positions(tmp_path, text, toml)
    assert [r["quantity"] for r in rows] == [value]
    assert counts(log.table()) == {}


@given(st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-1e6, max_value=1e6))
def test_any_amount_in_thousands_is_that_of_its_decimals(amount: Decimal) -> None:
    table = pa.table({"Face": [f"{amount:f}"], "account": ["A"]})
    names = {"positions": {"quantity": {"column": "Face", "unit": "thousand"}}}
    read = read_source(table, name="positions", column_map=read_column_map(names))
    assert float(read.table["quantity"][0].as_py()) == float(amount * 1000)


def test_an_unclear_number_is_not_read_later_without_its_unit(tmp_path: Path) -> None:
    # Once 4.25 is written as 4250, the rest of the column shows a decimal comma alone.
    toml = '[positions]\nquantity = { column = "Qty", unit = "thousand" }\n'
    text = "account;kind;instrument;Qty;xm\n" + "".join(
        f"A;future;ZNM25;{cell};yes\n" for cell in ("4.25", "4,25", "1.000", "7")
    )
    file = tmp_path / "positions.csv"
    file.write_text(text)
    (tmp_path / "columns.toml").write_text(toml)
    log = ExceptionLog()
    names = read_column_map(tmp_path / "columns.toml")
    given = read_source(file, name="positions", column_map=names)
    table = parse(given.table, POSITIONS, file="positions", log=log, point=given.point).table
    assert table["quantity"].to_pylist() == [4250.0, 7000.0]
    assert log.table()["row"].to_pylist() == [2, 3]


def test_a_number_in_percent_does_not_lose_its_sign(tmp_path: Path) -> None:
    toml = """
    [positions]
    repo_rate = { column = "Rate", sign = "S", positive = "+", negative = "-" }
    """
    head = "account,kind,instrument,quantity,xm,start_date,end_date,Rate,S\n"
    row = "A,repo,91282CMM0,100,yes,2025-03-13,2025-03-20,"
    rows, log = positions(tmp_path, f"{head}{row}4.25%,-\n{row}4.25,-\n{row},\n", toml)
    assert [r["repo_rate"] for r in rows] == [-4.25, None]
    assert log.table()["message"].to_pylist()[0].startswith('`repo_rate` is "4.25% in `Rate`"')


@pytest.mark.parametrize("blank", ["", None])
def test_a_blank_cell_may_be_a_code_in_any_kind_of_file(blank: str | None) -> None:
    table = pa.table({"account": ["A", "B", blank], "Class": pa.array(["X", blank, blank])})
    names = {"positions": {"xm": {"column": "Class", "values": {"X": "yes", "": "no"}}}}
    given = read_source(table, name="positions", column_map=read_column_map(names))
    # The last row holds nothing, and stays blank.
    assert given.table["xm"].to_pylist() == ["yes", "no", None]


@pytest.mark.parametrize("blank", ["", None])
def test_a_blank_side_may_be_one_of_the_two_in_any_kind_of_file(blank: str | None) -> None:
    table = pa.table({"Qty": ["5", "7", "9"], "Side": pa.array([blank, "S", "X"])})
    sides = {"column": "Qty", "sign": "Side", "positive": "", "negative": "S"}
    names = read_column_map({"positions": {"quantity": sides}})
    given = read_source(table, name="positions", column_map=names)
    assert given.table["quantity"].to_pylist() == ["5", "-7", "9 with Side X"]


def test_what_is_no_number_is_refused_as_it_stands(tmp_path: Path) -> None:
    toml = '[positions]\nquantity = { column = "Face", unit = "million" }\n'
    text = "account,kind,instrument,Face,xm\nA,cash,91282CMM0,ten,yes\nA,cash,91282CMM0,,yes\n"
    rows, log = positions(tmp_path, text, toml)
    assert rows == []
    messages = log.table()["message"].to_pylist()
    assert messages[0].startswith('`quantity` is "ten": not a finite number')
    assert messages[1] == "`quantity` is blank; it must be given"


def test_rates_as_decimals_become_percent() -> None:
    table = pa.table({"account": ["A"], "Rate": [0.0433], "Cash": [1.5]})
    names = {
        "positions": {
            "repo_rate": {"column": "Rate", "unit": "decimal"},
            "start_cash": {"column": "Cash", "unit": "million"},
        }
    }
    read = read_source(table, name="positions", column_map=read_column_map(names))
    assert float(read.table["repo_rate"][0].as_py()) == 4.33
    assert float(read.table["start_cash"][0].as_py()) == 1_500_000.0


def test_a_frame_with_typed_columns() -> None:
    frame = pd.DataFrame({"Acct": [1, 2], "Side": [1, 2], "Lots": [10, 20]})
    names = {
        "positions": {
            "account": "Acct",
            "quantity": {"column": "Lots", "sign": "Side", "positive": [1], "negative": [2]},
        }
    }
    given = pa.Table.from_pandas(frame)
    read = read_source(given, name="positions", column_map=read_column_map(names))
    assert read.table["quantity"].to_pylist() == ["10", "-20"]
    assert read.table["account"].to_pylist() == [1, 2]


def test_other_columns_are_carried_and_one_of_our_name_is_told(tmp_path: Path) -> None:
    file = tmp_path / "accounts.csv"
    file.write_text(
        "Acct,account,origin,ficc_role,opted_in,clearing_firm,desk\n"
        "001,Smith,customer,sponsored_member,yes,F,rates\n"
    )
    names = read_column_map({"accounts": {"account": "Acct"}})
    read = read_source(file, name="accounts", column_map=names)
    assert read.notes == (
        "column `account` is not read; the columns file names another one for it",
    )
    table = parse(read.table, ACCOUNTS, file="accounts", log=ExceptionLog()).table
    assert (table["account"].to_pylist(), table["desk"].to_pylist()) == (["001"], ["rates"])
    other = read_source(file, name="firms", column_map=names)
    assert other.table.column_names[0] == "Acct"


def test_par_yields_and_fixings_of_a_vendor() -> None:
    days = np.busday_offset("2025-03-13", np.arange(-20, 1), roll="backward").astype(str).tolist()
    tenors = ("1mo", "3mo", "6mo", "1y", "2y", "3y", "5y", "7y", "10y", "20y", "30y")
    yields = pa.table({"Day": days, **{f"T{t}": ["0.0425"] * 21 for t in tenors}})
    fixings = pa.table({"Day": days, "Level": ["433"] * 21})
    names = {
        "par_yields": {"date": "Day"} | {t: {"column": f"T{t}", "unit": "decimal"} for t in tenors},
        "fixings": {
            "date": "Day",
            "index": {"constant": "SOFR"},
            "rate_pct": {"column": "Level", "unit": "basis point"},
        },
    }
    market = read_market(yields, as_of="2025-03-13", fixings=fixings, columns=names)
    assert market.history.par_yield[0].tolist() == [0.0425] * 11
    assert market.fixings["SOFR"][1].tolist() == [0.0433] * 21


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[position]\n", r"`position`: not an input; do you mean `positions`"),
        ("positions = 1\n", r"`positions`: must be a table of columns"),
        (
            '[positions]\nacount = "A"\n',
            r"`positions\.acount`: not a column of this input; do you mean `account`",
        ),
        ("[positions]\naccount = 1\n", r"`positions\.account`: give the name of a column"),
        ("[positions]\naccount = {}\n", r"`positions\.account`: give the name of a column"),
        (
            '[positions]\naccount = { column = "A", constant = "B" }\n',
            r"`positions\.account`: give the name of a column",
        ),
        (
            '[positions]\naccount = { column = "A", unit = "thousand" }\n',
            r"`positions\.account`: `unit` is unknown here; known: column, values",
        ),
        (
            '[positions]\nquantity = { column = "A", unit = "percent" }\n',
            r"`positions\.quantity`: unit 'percent': give one of one, thousand, million",
        ),
        (
            '[positions]\nquantity = { column = "A", sign = "S", negative = ["S"] }\n',
            r"`positions\.quantity`: give sign, positive and negative together",
        ),
        (
            '[positions]\nquantity = { column = "A", sign = " ", negative = 1, positive = 2 }\n',
            r"`positions\.quantity`: `sign` is blank",
        ),
        ('[positions]\nrepo_rate = ""\n', r"`positions\.repo_rate`: `column` is blank"),
        (
            '[positions]\nquantity = { column = "A", sign = "B", negative = 1, positive = 1 }\n',
            r"`positions\.quantity`: a word is both positive and negative",
        ),
        (
            '[positions]\nkind = { column = "A", values = "B" }\n',
            r"`positions\.kind`: give values as \{ theirs = ours \}",
        ),
        ("[positions]\nkind = { constant = [] }\n", r"`positions\.kind`: \[\] cannot be a"),
        ("positions", "not TOML"),
        ("a = " + "[" * 5000, "not TOML"),
        ("a" + ".a" * 100_000 + " = 1", "line 1 has more than 200 points"),
    ],
)
def test_an_entry_that_makes_no_sense_is_named_by_its_key(
    tmp_path: Path, toml: str, says: str
) -> None:
    path = tmp_path / "columns.toml"
    path.write_text(toml)
    with pytest.raises(InputError, match=rf"^columns file .*columns\.toml.*{says}"):
        read_column_map(path)


def test_a_column_that_is_not_in_the_file_is_named_by_its_key(tmp_path: Path) -> None:
    toml = FUTURES.replace("Acct No", "Account No")
    with pytest.raises(
        InputError,
        match=r"`positions\.account`: positions has no column `Account No`; it has `Acct",
    ):
        positions(tmp_path, EXTRACT, toml)
