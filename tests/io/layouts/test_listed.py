from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from crossmargin.io.sources import read_source
from crossmargin.io.tables import Given

EXCHANGE = """\
Firm Id,Acct Id,Exchange,Ticker Symbol,Product Name,CC Code,Period Code,Put / Call,Strike,\
Underlying Period Code,Net Positions,Margin Type
EMM,00375,CBT,,,21,202506,,,,-30,FUT
EMM,00375,CME,,,ES,202506,,,,4,FUT
EMM,00375,CBT,,,21,202505,C,110.5,202506,5,OOF
EMM,00376,CBT,ZT,,26,202506,,,,0,FUT
EMM,00376,CME,SR3,,,202512,,,,"1,200",FUT
"""
ETD = """\
account_code,sub_account_code,exchange_code,contract_code,contract_type,contract_expiry,\
contract_strike,net_position,account_type,omnibus_ind,long_qty,short_qty
A1,01,CBOT,ZN,F,JUN-25,,5,C,N,7,2
A2,02,CBOT,TY,F,20250630,,-5,C,N,2,8
"""


def given(tmp_path: Path, content: str) -> Given:
    path = tmp_path / "positions.csv"
    path.write_text(content)
    return read_source(path, name="positions")


def lines(read: Given) -> list[tuple[object, ...]]:
    names = ("account", "instrument")
    cells = [*(read.table[name].to_pylist() for name in names), quantities(read)]
    rows = zip(*cells, strict=True)
    return [row for row in rows if any(cell is not None for cell in row)]


def quantities(read: Given) -> list[str | None]:
    """Return the quantities as text; they are numbers where all can be read."""
    cells = read.table["quantity"].to_pylist()
    return [f"{cell:.12g}" if isinstance(cell, int | float) else cell for cell in cells]


def test_the_exchanges_positions_csv(tmp_path: Path) -> None:
    read = given(tmp_path, EXCHANGE)
    assert lines(read) == [
        ("00375", "ZNM25", "-30"),
        ("00375", "ZNK25 C110.5", "5"),
        ("00376", "SR3Z25", "1,200"),
    ]
    assert set(read.table["kind"].to_pylist()) == {"future", None}
    assert set(read.table["xm"].to_pylist()) == {"false", None}
    (note,) = read.notes
    assert note.startswith("read as the exchange's positions CSV: account `Acct Id`, ")
    assert "product `CC Code`, else `Ticker Symbol`, expiry `Period Code`" in note
    assert "xm is not in the file: false" in note
    assert "1 row of products that are not margined here left out: ES (1)" in note
    assert "1 row without open contracts left out" in note


def test_left_out_rows_are_blank_so_that_others_keep_their_number(tmp_path: Path) -> None:
    table = given(tmp_path, EXCHANGE).table
    assert len(table) == 5
    assert set(table.slice(1, 1).to_pylist()[0].values()) == {None}


def test_a_back_offices_rows(tmp_path: Path) -> None:
    read = given(tmp_path, ETD)
    assert lines(read) == [("A1", "ZNM25", "5"), ("A2", "ZNM25", "-5")]
    (note,) = read.notes
    assert "`net_position` is read, not `long_qty` and `short_qty`, from which it differs in 1" in (
        note
    )
    assert "not `sub_account_code`" in note
    assert {"sub_account_code", "omnibus_ind"} <= set(read.table.column_names)


@pytest.mark.parametrize(
    ("rows", "net", "says"),
    [
        (["7,2", ",4", "3,"], ["5", "-4", "3"], "long and short in 1 row: netted"),
        (["7,-2", "0,-4"], ["5", "-4"], "short positions are negative numbers"),
        (["7,-2", "0,4"], ["7 less -2", "-4"], ""),
        (["-7,2", "x,1", '"1,000",0'], ["-7 less 2", "x less 1", "1000"], ""),
        (["1.5,0", ",", "x,"], ["1.5", None, "x less "], ""),
        (["1.5,0", "9007199254740991,", ","], ["1.5", "9.00719925474e+15", None], ""),
    ],
)
def test_long_and_short(tmp_path: Path, rows: list[str], net: list[str | None], says: str) -> None:
    read = given(
        tmp_path,
        "\n".join(["acct,root,expiry,Long Qty,SHORT", *rows]).replace("\n", "\nA,ZN,202506,"),
    )
    assert quantities(read) == net
    assert says in read.notes[0]


@pytest.mark.parametrize(
    ("rows", "net", "says"),
    [
        (["7,B", "2,S", "0,"], ["7", "-2", None], "`Buy/Sell` says which are short"),
        (["7,X", "2,"], ["7 with Buy/Sell X", "2 with Buy/Sell "], ""),
        (["7,B", "-2,S", "-2,B"], ["7", "-2", "-2 with Buy/Sell B"], "agrees"),
    ],
)
def test_sides(tmp_path: Path, rows: list[str], net: list[str | None], says: str) -> None:
    head = "acct,root,expiry,Qty,Buy/Sell"
    read = given(tmp_path, "\n".join([head, *(f"A,ZN,202506,{row}" for row in rows)]))
    assert quantities(read) == net
    assert says in read.notes[0]


def test_decimal_commas(tmp_path: Path) -> None:
    content = "acct;root;expiry;long;short\nA;ZN;202506;1.000;0\nA;ZN;202506;2,0;1.234.567\n"
    assert quantities(given(tmp_path, content)) == ["1000", "-1234565"]


def test_typed_columns(tmp_path: Path) -> None:
    table = pa.table(
        {
            "account": [7, 8, None],
            "symbol": pa.array(["ZN", "21", None]).dictionary_encode(),
            "expiry": [202506.0, 202506.0, None],
            "quantity": [5, -3, None],
            "xm": [True, False, None],
        }
    )
    read = read_source(table, name="positions")
    assert lines(read) == [(7, "ZNM25", "5"), (8, "ZNM25", "-3")]
    assert read.table["xm"].to_pylist() == [True, False, None]


def test_columns_that_mean_the_same_are_told(tmp_path: Path) -> None:
    content = "Acct Id,ACCT_ID,account,symbol,expiry,quantity,net\nA,B,C,ZN,202506,1,2\n"
    read = given(tmp_path, content)
    assert lines(read) == [("C", "ZNM25", "1")]
    assert "not `ACCT_ID`, `net`" in read.notes[0] or "not `Acct Id`" in read.notes[0]


@pytest.mark.parametrize(
    "header",
    ["account,instrument,quantity,xm", "account,symbol,quantity", "symbol,expiry,net,long"],
)
def test_other_tables_stay(tmp_path: Path, header: str) -> None:
    read = given(tmp_path, f"{header}\n{'1,' * header.count(',')}1\n")
    assert not read.notes
    assert ",".join(read.table.column_names) == header


def test_a_cell_with_the_separator_names_nothing(tmp_path: Path) -> None:
    table = pa.table(
        {"account": ["A"], "symbol": ["ZN\0ZN"], "expiry": ["202506"], "quantity": ["1"]}
    )
    read = read_source(table, name="positions")
    assert "left out: ? (1)" in read.notes[0]
