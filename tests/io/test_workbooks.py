from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from crossmargin.book.schemas import POSITIONS
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.io import workbooks
from crossmargin.io.parse import parse
from crossmargin.io.tables import Given, read_table

HEADER = ["account", "kind", "instrument", "quantity", "xm", "settle_date", "repo_rate"]
ROW = ["00123", "cash", "91282CMM0", 1_000_000, True, datetime.datetime(2025, 3, 14), None]

Sheet = list[list[Any]]


def book(**sheets: Sheet) -> openpyxl.Workbook:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for title, rows in sheets.items():
        sheet = workbook.create_sheet(title)
        for row in rows:
            sheet.append(row)
    return workbook


def saved(workbook: openpyxl.Workbook) -> bytes:
    sink = io.BytesIO()
    workbook.save(sink)
    return sink.getvalue()


def changed(data: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return a workbook with one of its parts changed."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(sink, "w", 8) as new:
        for part in old.namelist():
            content = old.read(part)
            new.writestr(part, change(content) if part == name else content)
    return sink.getvalue()


Read = Callable[[bytes], Given]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_data(data: bytes) -> Given:
        path = tmp_path / "positions.csv"
        path.write_bytes(data)
        return read_table(path, name="positions")

    return read_data


def test_a_sheet_of_positions_is_read(read: Read) -> None:
    given = read(saved(book(Positions=[HEADER, ROW], Notes=[])))
    assert given.notes == ()
    parsed = parse(given.table, POSITIONS, file="positions", log=ExceptionLog())
    assert parsed.table.select(HEADER).to_pylist() == [
        {
            "account": "00123",
            "kind": "cash",
            "instrument": "91282CMM0",
            "quantity": 1e6,
            "xm": True,
            "settle_date": datetime.date(2025, 3, 14),
            "repo_rate": None,
        }
    ]


def test_cells_become_text_with_all_their_digits(read: Read) -> None:
    cells = [912820000, 1234567.89, 1e15, "#N/A", False, datetime.datetime(2025, 3, 14, 9, 30)]
    given = read(saved(book(S=[["a", "b", "c", "d", "e", "f"], cells])))
    assert list(given.table.to_pylist()[0].values()) == [
        *("912820000", "1234567.89", "1000000000000000", "#N/A", "false"),
        "2025-03-14 09:30:00",
    ]


def test_percent_is_what_is_shown(read: Read) -> None:
    workbook = book(S=[["a", "b", "c"], [0.0425, 0.0425, 0.0425]])
    workbook["S"]["A2"].number_format = "0.00%"
    workbook["S"]["B2"].number_format = '0.0000"%"'  # the sign alone, without the factor
    assert read(saved(workbook)).table.to_pylist() == [{"a": "4.25%", "b": "0.0425", "c": "0.0425"}]


def test_days_are_counted_as_the_workbook_counts_them(read: Read) -> None:
    workbook = book(S=[["a", "b"], [datetime.date(2025, 3, 14), 1]])
    workbook.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    assert read(saved(workbook)).table["a"].to_pylist() == ["2025-03-14"]


def test_titles_blank_rows_and_columns_are_left_out(read: Read) -> None:
    rows = [["Positions"], [], [*HEADER, None, None], ROW, [], ROW, [None] * 9]
    given = read(saved(book(S=rows)))
    assert given.table.column_names == HEADER
    assert given.table["account"].to_pylist() == ["00123", "", "00123"]
    assert given.notes[0].startswith('rows 1 to 2 are before the header and not read: "Positions"')
    with pytest.raises(InputError, match="column 8 has no name, but content in row 1"):
        read(saved(book(S=[HEADER, [*ROW, "x"]])))


def test_several_sheets_with_content_are_listed(read: Read) -> None:
    with pytest.raises(InputError, match="2 sheets have content: `A`, `C`; keep one"):
        read(saved(book(A=[HEADER], B=[], C=[HEADER])))
    with pytest.raises(InputError, match="the workbook is empty"):
        read(saved(book(A=[], B=[[None]])))


def test_a_formula_without_a_value_is_refused(read: Read) -> None:
    # openpyxl writes formulas without values; in Excel a text that is blank is a value.
    data = saved(book(S=[HEADER, [*ROW[:6], "=1+1"]]))
    with pytest.raises(InputError, match="a formula in row 2, column 7 has no value; open"):
        read(data)
    sheet = "xl/worksheets/sheet1.xml"
    # With lxml installed, openpyxl writes the empty value with two tags.
    value = changed(data, sheet, lambda xml: re.sub(rb"<v />|<v></v>", b"<v>2</v>", xml))
    assert read(value).table["repo_rate"].to_pylist() == ["2"]
    blank = changed(data, sheet, lambda xml: xml.replace(b'<c r="G2"', b'<c r="G2" t="str"'))
    assert read(blank).table["repo_rate"].to_pylist() == [""]


def test_other_kinds_of_workbooks_are_named(read: Read) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("xl/workbook.bin", b"")
    with pytest.raises(InputError, match=r"spreadsheet of another kind; save it as \.xlsx or CSV"):
        read(sink.getvalue())


def test_a_damaged_workbook_is_refused(read: Read) -> None:
    data = saved(book(S=[HEADER, ROW]))
    for part in ("xl/worksheets/sheet1.xml", "xl/styles.xml", "xl/workbook.xml"):
        for change in (lambda xml: xml[:-40], lambda xml: b"", lambda xml: b"<x/>"):
            with pytest.raises(InputError, match="positions file"):
                read(changed(data, part, change))


@pytest.mark.parametrize(
    "cell", [b'<row r="1048577"><c r="A1048577"><v>1</v></c></row>', b'<row r="99999999999"/>']
)
def test_a_cell_far_away_is_refused(read: Read, cell: bytes) -> None:
    data = saved(book(S=[HEADER, ROW]))
    far = changed(
        data,
        "xl/worksheets/sheet1.xml",
        lambda xml: xml.replace(b"</sheetData>", cell + b"</sheetData>"),
    )
    with pytest.raises(InputError, match="sheet `S` is too large"):
        read(far)


def test_sizes_are_limited(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(book(S=[["a", "b"], *([["x", "y"]] * 100)]))
    monkeypatch.setattr(workbooks, "MAX_CELLS", 100)
    with pytest.raises(InputError, match="sheet `S` is too large"):
        read(data)
    monkeypatch.setattr(workbooks, "LARGEST", 1000)
    with pytest.raises(InputError, match="the workbook unpacks to more than 1,000 bytes"):
        read(data)


def test_a_small_workbook_of_very_much_is_refused(read: Read) -> None:
    data = saved(book(S=[HEADER, ROW]))
    for part, end, junk in (
        ("xl/worksheets/sheet1.xml", b"</sheetData>", b"<row>" + b"<c/>" * 1_200_000 + b"</row>"),
        ("xl/styles.xml", b"</cellXfs>", b"<xf/>" * 1_000_000),
    ):
        bomb = changed(data, part, partial(lambda e, j, xml: xml.replace(e, j + e), end, junk))
        assert len(bomb) < 40_000
        with pytest.raises(InputError, match="the workbook unpacks to more than 4,194,304 bytes"):
            read(bomb)


def test_hidden_rows_are_read_and_told(read: Read) -> None:
    workbook = book(Positions=[HEADER, ROW, ROW, ROW])
    for number in (3, 4):
        workbook["Positions"].row_dimensions[number].hidden = True
    given = read(saved(workbook))
    assert len(given.table) == 3
    assert given.notes == ("2 hidden rows are read like any other",)


def test_a_formula_without_a_value_is_refused_whatever_prefix_its_names_have(read: Read) -> None:
    def prefixed(sheet: bytes) -> bytes:
        sheet = re.sub(rb"<(/?)(?=[a-z])", rb"<\1x:", sheet)
        return sheet.replace(b"xmlns=", b"xmlns:x=")

    data = saved(book(Positions=[HEADER, [*ROW[:3], "=5+5", *ROW[4:]]]))
    with pytest.raises(InputError, match="a formula in row 2, column 4 has no value"):
        read(changed(data, "xl/worksheets/sheet1.xml", prefixed))
