"""Workbooks as other programs write them, and hostile ones, made part by part."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from crossmargin.exceptions import InputError
from crossmargin.io.markup import MAX_ELEMENTS
from crossmargin.io.workbooks import LARGEST, read_workbook

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MEMORY_MIB = 512
"""Most that a hostile workbook may take, with the interpreter and its libraries."""
SIZE = 56 << 20


def workbook(
    sheet: str, *, texts: str = "", formats: str = "", xfs: str = "<xf/>", pad: int = 0
) -> bytes:
    """Return a workbook of one sheet; `pad` is bytes that do not compress."""
    links = "".join(
        f'<Relationship Id="r{k}" Type="{RELS}/{kind}" Target="{target}"/>'
        for k, (kind, target) in enumerate(
            [
                ("worksheet", "worksheets/sheet1.xml"),
                ("sharedStrings", "sharedStrings.xml"),
                ("styles", "/xl/styles.xml"),
            ]
        )
    )
    parts = {
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELS}">'
        '<sheets><sheet name="S" sheetId="1" r:id="r0"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f"<Relationships>{links}</Relationships>",
        "xl/worksheets/sheet1.xml": sheet,
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{texts}</sst>',
        "xl/styles.xml": f"<styleSheet><numFmts>{formats}</numFmts><cellStyleXfs><xf/><xf/>"
        f"</cellStyleXfs><cellXfs>{xfs}</cellXfs></styleSheet>",
    }
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
        archive.writestr("pad", random.Random(1).randbytes(pad))
    return sink.getvalue()


def rows(*cells: str) -> str:
    """Return a sheet with a header and one row of these cells."""
    header = "".join(f'<c t="str"><v>c{k}</v></c>' for k in range(max(2, len(cells))))
    return (
        f'<worksheet xmlns="{MAIN}"><sheetData><row>{header}</row>'
        f"<row>{''.join(cells)}</row></sheetData></worksheet>"
    )


def values(data: bytes) -> list[str]:
    table, _ = read_workbook(data, "file")
    return [column[0].as_py() for column in table.columns]


def test_prefixes_shared_texts_and_gaps() -> None:
    sheet = (
        f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row r="2"><x:c r="A2" t="s"><x:v>1</x:v>'
        '</x:c><x:c r="C2" t="s"><x:v>0</x:v></x:c></x:row><x:row r="4"><x:c r="C4" t="inlineStr">'
        "<x:is><x:r><x:t>1,</x:t></x:r><x:r><x:t>5</x:t></x:r></x:is></x:c></x:row></x:sheetData>"
        "</x:worksheet>"
    )
    runs = "<si><r><t>last</t></r><r><t> one</t></r><rPh><t>spoken</t></rPh></si><si><t>a</t></si>"
    table, _ = read_workbook(workbook(sheet, texts=runs), "file")
    assert table.column_names == ["a", "", "last one"]
    assert [column.to_pylist() for column in table.columns] == [["", ""], ["", ""], ["", "1,5"]]


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("0.00%", "4.2500000000000003E-2", "4.25%"),
        # The width of a percent sign is left free, and a sign fills the cell: no percents.
        ("0.000_%", "0.125", "0.125"),
        ("0*%", "0.125", "0.125"),
        ("[$%]0", "0.125", "0.125"),
        ("[Red]0;General", "5", "5"),
        ("yyyy-mm-dd", "45730", "2025-03-14"),
        ("yyyy-mm-dd", "45730.999999999", "2025-03-15"),
        ("yyyy-mm-dd", "45730.5", "2025-03-14 12:00:00"),
        ("yyyy-mm-dd", "-5", "-5"),
        ("0", "1E+6", "1000000"),
        ("0", "00012", "12"),
    ],
)
def test_numbers_by_their_format(code: str, value: str, shown: str) -> None:
    data = workbook(
        rows(f'<c s="1"><v>{value}</v></c>'),
        formats=f'<numFmt numFmtId="164" formatCode="{code}"/>',
        xfs='<xf/><xf numFmtId="164"/>',
    )
    assert values(data)[0] == shown


def test_built_in_formats_and_other_types() -> None:
    cells = ('<c s="1"><v>45730</v></c>', '<c s="2"><v>0.5</v></c>', '<c t="e"><v>#N/A</v></c>')
    more = ('<c t="d"><v>2025-03-14T00:00:00Z</v></c>', '<c t="b"><v>0</v></c>', "<c/>")
    data = workbook(rows(*cells, *more), xfs='<xf/><xf numFmtId="14"/><xf numFmtId="10"/>')
    assert values(data) == ["2025-03-14", "50%", "#N/A", "2025-03-14", "false", ""]


@pytest.mark.parametrize(
    "cell",
    [
        *('<c s="9"><v>1</v></c>', '<c s="-1"><v>1</v></c>', '<c t="s"><v>-1</v></c>'),
        *("<c><v>nan</v></c>", "<c><v>x</v></c>", '<c r="A9"><v>1</v></c>', '<c r="1"/>'),
        *('<c r="B2"/><c r="A2"/>', '<row r="1"/>'),
    ],
)
def test_what_makes_no_sense_is_refused(cell: str) -> None:
    with pytest.raises(InputError, match="file: the workbook cannot be read"):
        read_workbook(workbook(rows(cell)), "file")


def test_a_formula_with_a_prefix_needs_its_value_too() -> None:
    sheet = rows("<c><f>A1</f></c>").replace("xmlns=", "xmlns:x=")
    for name in ("worksheet", "sheetData", "row", "c", "v", "f"):
        for end in ("<", "</"):
            sheet = sheet.replace(f"{end}{name}", f"{end}x:{name}")
    with pytest.raises(InputError, match="a formula in row 2, column 1 has no value"):
        read_workbook(workbook(sheet.replace("x:x:", "x:")), "file")


def hostile(kind: str) -> bytes:
    """Return a workbook that unpacks to some 56 MiB made to take memory or time."""
    sheet, texts, end = rows("<c/>"), "", "</sheetData>"

    def filled(unit: str) -> str:
        return unit * (SIZE // len(unit))

    if kind == "texts":
        texts = filled("<si/>")
    elif kind == "one text":
        texts, sheet = "<si><t>" + "x" * 32_000 + "</t></si>", rows(*['<c t="s"><v>0</v></c>'] * 2)
        sheet = sheet.replace(end, "<row>" + '<c t="s"><v>0</v></c>' * 10_000 + f"</row>{end}")
    elif kind == "columns":
        more = '<row><c r="XFD3"><v>1</v></c></row>' + "<row><c><v>1</v></c></row>" * 300_000
        sheet = sheet.replace(end, more + end)
    elif kind == "attributes":
        many = " ".join(f'a{k:x}=""' for k in range(2_000_000))
        sheet = sheet.replace(end, f"<row {many}/>{end}")
    elif kind == "names":
        sheet = sheet.replace(end, "".join(f"<a{k:x}/>" for k in range(2_000_000)) + end)
    else:
        unit = {
            "cells": "<c/>",
            "rows": "<row/>",
            "depth": "<row>",
            "other": "<z/>",
            "long text": "\U0001f600<!---->" + "x" * 32_000,
        }[kind]
        inside = filled(unit)
        opening, closing = {
            "cells": ("<row>", "</row>"),
            "long text": ('<row><c t="str"><v>', "</v></c></row>"),
        }.get(kind, ("", ""))
        sheet = sheet.replace(end, opening + inside + closing + end)
    return workbook(sheet, texts=texts, pad=(3 << 20) + (1 << 18))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("cells", "too large"),
        ("rows", "too large"),
        ("columns", "too large"),
        ("depth", "nested more than"),
        ("other", "XML elements"),
        ("long text", "too large"),
        ("texts", "XML elements"),
        ("one text", "too large"),
        ("attributes", "too long or too many tags"),
        ("names", "too long or too many tags"),
    ],
)
def test_hostile_workbooks_take_little_memory(tmp_path: Path, kind: str, says: str) -> None:
    path = tmp_path / "hostile.xlsx"
    path.write_bytes(hostile(kind))
    script = (
        "import sys\n"
        "from crossmargin.io.tables import read_table\n"
        "try:\n    read_table(sys.argv[1], name='positions')\n"
        "except ValueError as error:\n    print(error)\n"
        # Of this process alone; what `resource` tells counts what started it.
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
    )
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc")
    run = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    message, most = run.stdout.strip().rsplit("\n", 1)
    assert says in message
    assert int(most) < MEMORY_MIB << 10


def test_a_sheet_of_a_hundred_thousand_rows_is_within_the_limits() -> None:
    assert MAX_ELEMENTS > 100_000 * (1 + 3 * 10)
    row = "<row>" + '<c r="A1" s="1"><v>1234567.89</v></c>' * 10 + "</row>"
    assert 100_000 * len(row) < LARGEST
