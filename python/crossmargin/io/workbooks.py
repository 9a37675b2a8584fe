"""Excel workbooks (.xlsx) to a table of texts, as a CSV file of the sheet would have them."""

from __future__ import annotations

import datetime
import io
import re
import warnings
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

from crossmargin import columns
from crossmargin.book.exceptions import InputError
from crossmargin.io import limits
from crossmargin.io.archives import ZIP, opened_zip
from crossmargin.io.headers import FIRST_ROWS, header_row, rows_left_out

LARGEST = 64 << 20
"""Bytes of a workbook once unpacked: its XML takes up to a hundred times as much in memory."""
SMALL = 4 << 20
"""Whatever its file's size, a workbook may be so large; also its parts that hold no cells."""
MAX_RATIO = 20
"""Sheets of figures compress some ten times."""
MAX_ROWS = 1 << 20
"""Of a sheet in Excel."""
MAX_CELLS = 20_000_000
WHOLE = 1e15
"""Whole numbers below are written without exponent."""

_BOOK = "xl/workbook.xml"
_OTHER_BOOKS = ("xl/workbook.bin", "content.xml")
"""What .xlsb and .ods have in its place."""
_SHEETS = "xl/worksheets/"
_TEXTS = "xl/sharedStrings.xml"
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_HIDDEN = re.compile(rb"""<(?:\w+:)?row\s[^<>]*\bhidden=["'](?:1|true)["']""")
_LITERAL = re.compile(r'"[^"]*"|\\.')
"""Parts of a number format that are shown as they are."""


def is_workbook(data: bytes, label: str) -> bool:
    """Whether a file is a spreadsheet in a zip archive."""
    if not data.startswith(ZIP):
        return False
    with opened_zip(data, label) as archive:
        return any(name in (_BOOK, *_OTHER_BOOKS) for name in archive.namelist())


def read_workbook(data: bytes, label: str) -> tuple[pa.Table, tuple[str, ...]]:
    """Read the one sheet of a workbook that has content.

    Every cell becomes text: dates as YYYY-MM-DD, numbers with all their digits, and with the sign
    where they are shown as percent.

    Parameters
    ----------
    data : bytes
        The file.
    label : str
        What messages call it.

    Returns
    -------
    table : pyarrow.Table
    notes : tuple of str
        What is not plain about the sheet.

    Raises
    ------
    InputError
        If openpyxl is not installed, several sheets have content, a formula was never calculated,
        or the workbook is damaged or too large.
    """
    openpyxl = _library(label)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what openpyxl leaves out is not in the cells
            formulas, hidden = _check(data, label)
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            title, rows = _only_sheet(book, label)
            if formulas:
                source = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
                _check_formulas(book[title], source[title], label)
    except InputError:
        raise
    except Exception as error:  # a damaged workbook fails in openpyxl in any way
        raise InputError(
            f"{label}: the workbook cannot be read: {str(error)[:200]}; save the table as CSV"
        ) from error
    at = header_row(rows[:FIRST_ROWS])
    width = max(map(len, rows[at:]))
    cells = [row + [""] * (width - len(row)) for row in rows[at:]]
    limits.check_shape(len(cells), width, label)
    table = pa.table(
        [columns.text_column([row[k] for row in cells[1:]]) for k in range(width)], names=cells[0]
    )
    notes = (f"{hidden} hidden rows are read as any others",) if hidden else ()
    return table, (*rows_left_out(rows[:at], at, "row"), *notes)


def _library(label: str) -> Any:
    try:
        import openpyxl
    except ModuleNotFoundError:
        raise InputError(
            f'{label}: an Excel workbook: pip install "crossmargin[excel]", or save it as CSV'
        ) from None
    return openpyxl


def _check(data: bytes, label: str) -> tuple[bool, int]:
    """Refuse what is too large or no .xlsx; tell of formulas, and how many rows are hidden."""
    with opened_zip(data, label) as archive:
        members = archive.infolist()
        if _BOOK not in archive.namelist():
            raise InputError(f"{label}: a spreadsheet of another kind; save it as .xlsx or CSV")
        limit = min(LARGEST, max(SMALL, MAX_RATIO * len(data)))
        rest = [part for part in members if not part.filename.startswith((_SHEETS, _TEXTS))]
        for parts, most in ((members, limit), (rest, min(limit, SMALL))):
            if sum(part.file_size for part in parts) > most:
                raise InputError(
                    f"{label}: the workbook unpacks to more than {most:,} bytes; save the table as "
                    "CSV"
                )
        sheets = [member for member in members if member.filename.startswith(_SHEETS)]
        formulas, hidden = False, 0
        for sheet in sheets:
            text = archive.read(sheet)
            formulas |= _FORMULA.search(text) is not None
            hidden += len(_HIDDEN.findall(text))
        return formulas, hidden


def _only_sheet(book: Any, label: str) -> tuple[str, list[list[str]]]:
    """Return the name and the cells of the one sheet that has content."""
    sheets = {sheet.title: rows for sheet in book.worksheets if (rows := _texts(sheet, label))}
    if not sheets:
        raise InputError(f"{label}: the workbook is empty")
    if len(sheets) > 1:
        names = ", ".join(f"`{title}`" for title in list(sheets)[:10])
        raise InputError(
            f"{label}: {len(sheets)} sheets have content: {names}; keep one, or save it as CSV"
        )
    return next(iter(sheets.items()))


def _texts(sheet: Any, label: str) -> list[list[str]]:
    """Return the cells of a sheet as text, without blank ones at the ends of rows and sheet."""
    texts: list[list[str]] = []
    size = 0
    for row in _rows(sheet):
        size += len(row)
        if size > MAX_CELLS or len(texts) == MAX_ROWS:
            raise InputError(f"{label}: sheet `{sheet.title}` is too large; save it as CSV")
        text = [_text(cell) for cell in row]
        while text and not text[-1].strip():
            text.pop()
        texts.append(text)
    while texts and not texts[-1]:
        texts.pop()
    return texts


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    sheet.reset_dimensions()  # what the sheet says of its size may be wrong
    return iter(sheet.iter_rows())


def _text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        if "%" in _LITERAL.sub("", cell.number_format):
            return f"{(Decimal(repr(value)) * 100).normalize():f}%"
        whole = isinstance(value, float) and value.is_integer() and abs(value) < WHOLE
        return str(int(value)) if whole else repr(value)
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return str(value.date())
    return str(value)


def _check_formulas(values: Any, formulas: Any, label: str) -> None:
    """Refuse a formula that no spreadsheet program has calculated: its cell would seem blank."""
    for value_row, formula_row in zip(_rows(values), _rows(formulas), strict=True):
        for value, formula in zip(value_row, formula_row, strict=True):
            # Text that is blank has a value all the same.
            if formula.data_type == "f" and value.value is None and value.data_type == "n":
                raise InputError(
                    f"{label}: the formula in {formula.coordinate} has no value; open the workbook "
                    "in Excel and save it"
                )
