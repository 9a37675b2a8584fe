from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.book.programme import CUSIP_POSITIONS
from crossmargin.exceptions import InputError
from crossmargin.io.column_map import read_column_map
from crossmargin.io.layouts.reports import stamp_of
from crossmargin.io.observed import read_observed
from crossmargin.io.sources import read_source
from crossmargin.io.tables import Given

XM_CUSIP = """BusDate,Cycle,Run,Account,CUSIP,Coupon,MaturityDate,Position
03/13/2025,CUR,2,00A1,91282CMM0,4.625,02/15/2035,"50,000,000"
03/13/2025,CUR,2,00A2,91282CMM0,4.625,02/15/2035,(25000000)
"""


def given(tmp_path: Path, content: str, **more: object) -> Given:
    path = tmp_path / "positions.csv"
    path.write_text(content)
    return read_source(path, name="positions", **more)


def columns(table: pa.Table, *names: str) -> list[tuple[object, ...]]:
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


def test_the_cross_margin_report_by_cusip(tmp_path: Path) -> None:
    read = given(tmp_path, XM_CUSIP)
    assert columns(read.table, "account", "kind", "instrument", "quantity", "xm") == [
        ("00A1", "cash", "91282CMM0", "50,000,000", "true"),
        ("00A2", "cash", "91282CMM0", "(25000000)", "true"),
    ]
    assert read.table.column_names[5:] == ["Coupon", "MaturityDate"]
    assert read.notes == (
        "read as the cross-margin report by CUSIP of 2025-03-13 CUR run 2: unsettled positions, "
        "cross-margined",
    )


@pytest.mark.parametrize("header", ["BUS_DATE,cycle,run,ACCT ID,Cusip,c,m,POSITION", None])
def test_case_spaces_and_underscores_of_the_header_do_not_matter(
    tmp_path: Path, header: str | None
) -> None:
    lines = XM_CUSIP.splitlines()
    read = given(tmp_path, "\n".join([header or lines[0], *lines[1:]]))
    assert read.table["account"].to_pylist() == ["00A1", "00A2"]


def test_a_column_says_what_is_cross_margined(tmp_path: Path) -> None:
    lines = XM_CUSIP.splitlines()
    cells = [f"{line},{word}" for line, word in zip(lines, ("XM", "Y", "N"), strict=True)]
    read = given(tmp_path, "\n".join(cells))
    assert read.table["xm"].to_pylist() == ["Y", "N"]
    assert "cross-margined where `XM` says so" in read.notes[0]


def test_rows_of_two_cycles_would_count_twice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 business dates, cycles or runs .*keep one"):
        given(tmp_path, XM_CUSIP + "03/13/2025,CUR,3,00A1,91282CMM0,4.625,02/15/2035,1\n")


def test_blank_rows_stay_blank(tmp_path: Path) -> None:
    read = given(tmp_path, XM_CUSIP + ",,,,,,,\n")
    assert read.table["kind"].to_pylist()[:2] == ["cash", "cash"]
    assert read.table["xm"].to_pylist()[2:] in ([], [None])


@pytest.mark.parametrize(
    "header",
    [
        "BusDate,Cycle,Run,Account,CUSIP,Product,ContractMonth,Position",
        "BusDate,Cycle,Run,Account,CUSIP,Product,ContractMonth,NetPosition",
        "BizDt,Cycle,Run,Account,CUSIP,Product Code,Maturity Month Year,Position",
        "Bus_Date,Cycle,RunId,Acct,Ref,Futures Product,Contract Period,Quantity",
        "Day,Time,Run,Account,CUSIP,Product,ContractMonth,Position",
    ],
)
def test_futures_equivalents_are_no_futures(tmp_path: Path, header: str) -> None:
    content = f"{header}\n03/13/2025,CUR,1,A,91282CMM0,21,202506,12\n"
    with pytest.raises(InputError, match=r"futures-equivalents .*by CUSIP"):
        given(tmp_path, content)
    # Futures in these columns can be given all the same.
    names = {
        "account": header.split(",")[3],
        "kind": {"constant": "future"},
        "instrument": {"constant": "ZNM25"},
        "quantity": header.split(",")[-1],
    }
    stated = read_column_map({"positions": names})
    assert given(tmp_path, content, column_map=stated).table["kind"].to_pylist() == ["future"]


@pytest.mark.parametrize("position", ["Position", "NetPosition", "Quantity", "Par"])
@pytest.mark.parametrize("day", ["BusDate", "BizDt"])
def test_both_readers_of_the_report_know_the_same_names(
    tmp_path: Path, day: str, position: str
) -> None:
    header = f"{day},Cycle,Run,XM Account,CUSIP Number,{position}"
    path = tmp_path / "report.csv"
    path.write_text(f"{header}\n03/13/2025,CUR,1,A,91282CMM0,5000000\n")
    read = read_source(path, name="positions")
    assert columns(read.table, "account", "kind", "quantity") == [("A", "cash", "5000000")]
    assert read.stamp is not None
    assert read.stamp.business_date == "2025-03-13"
    found = read_observed(path, as_of=np.datetime64("2025-03-13"), cycle="CUR")
    assert found.report is CUSIP_POSITIONS
    assert columns(found.table, "account", "position") == [("A", 5e6)]


def test_what_a_report_says_of_itself(tmp_path: Path) -> None:
    table = pa.table({"Bus Date": ["2025-03-13"] * 2, "RUN": ["1"] * 2, "Cycle": ["EOD"] * 2})
    stamp = stamp_of(table)
    assert stamp is not None
    assert (stamp.business_date, stamp.cycle, stamp.run) == ("2025-03-13", "EOD", "1")
    assert stamp_of(pa.table({"account": ["A"]})) is None
    assert stamp_of(table.slice(2)) is None


def test_a_columns_file_on_another_file_leaves_a_known_report_alone(tmp_path: Path) -> None:
    names = read_column_map({"positions": {"account": "Konto", "xm": {"constant": "no"}}})
    read = given(tmp_path, XM_CUSIP, column_map=names, one_of_several=True)
    assert columns(read.table, "account", "xm") == [("00A1", "true"), ("00A2", "true")]
    assert read.notes[0] == ("the columns file is not about this file, which has no column `Konto`")
    for content, several in ((XM_CUSIP, False), ("a,b\n1,2\n", True)):
        with pytest.raises(InputError, match="no column `Konto`"):
            given(tmp_path, content, column_map=names, one_of_several=several)


def test_a_columns_file_of_constants_alone_is_about_every_file(tmp_path: Path) -> None:
    names = read_column_map({"positions": {"xm": {"constant": "no"}}})
    read = given(tmp_path, XM_CUSIP, column_map=names, one_of_several=True)
    assert columns(read.table, "account", "xm") == [("00A1", "no"), ("00A2", "no")]


def test_a_file_may_lack_the_column_of_signs_only(tmp_path: Path) -> None:
    signed = {"column": "Position", "sign": "Side", "positive": ["B"], "negative": ["S"]}
    names = read_column_map({"positions": {"quantity": signed}})
    read = given(tmp_path, XM_CUSIP, column_map=names, one_of_several=True)
    assert "has no column `Side`" in read.notes[0]
    assert read.table["quantity"].to_pylist() == ["50,000,000", "(25000000)"]


def test_a_constant_for_all_files_does_not_replace_a_file_s_own_column(tmp_path: Path) -> None:
    content = "account,kind,instrument,quantity,xm\nA,cash,912,100,false\nA,cash,913,100,true\n"
    names = read_column_map({"positions": {"xm": {"constant": "true"}}})
    read = given(tmp_path, content, column_map=names, one_of_several=True)
    assert read.table["xm"].to_pylist() == ["false", "true"]
    assert read.notes == (
        "the file's own column `xm` is read; the columns file states it for others",
    )
    alone = given(tmp_path, content, column_map=names)
    assert alone.table["xm"].to_pylist() == ["true", "true"]


def test_our_own_form_stays(tmp_path: Path) -> None:
    content = "account,kind,instrument,quantity,xm,BusDate,Cycle\nA,future,ZNM25,1,false,x,y\n"
    read = given(tmp_path, content)
    assert not read.notes
    assert read.table["quantity"].to_pylist() == ["1"]
