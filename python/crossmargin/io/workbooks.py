"""Read Excel workbooks (.xlsx) as a table of texts, like a CSV file of the sheet."""

from __future__ import annotations

import datetime
import math
import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn

import pyarrow as pa

from crossmargin import columns
from crossmargin.exceptions import InputError
from crossmargin.io.archives import ZIP, opened_zip
from crossmargin.io.headers import FIRST_ROWS, header_row, rows_left_out
from crossmargin.io.markup import PIECE, parse_xml

LARGEST = 64 << 20
"""Most bytes of a workbook once unpacked, and of all its cells as text."""
SMALL = 4 << 20
"""Bytes that any workbook may have once unpacked, whatever its compression."""
MAX_RATIO = 20
"""Largest compression; sheets of figures compress about ten times."""
MAX_ROWS = 1 << 20
MAX_COLUMNS = 1 << 14
"""Most columns of a sheet in Excel."""
MAX_CELLS = 5_000_000
"""Most cells of a sheet, counting blank ones before the last cell of a row."""
LONGEST_CELL = 32_767
"""Most characters in a cell, as in Excel."""
MAX_STYLES = 65_536
"""Most cell styles; also the most sheets and links between parts."""
WHOLE = 1e15
"""Smaller whole numbers are written without an exponent."""

_BOOK = "xl/workbook.xml"
_OTHER_BOOKS = ("xl/workbook.bin", "content.xml")
"""The parts that .xlsb and .ods files have in its place."""
_LITERAL = re.compile(r'"[^"]*"|\[[^]]*\]|[\\_*].')
"""Parts of a number format that are literal text, or leave or fill a space."""
_BUILT_IN = {**dict.fromkeys((9, 10), "0%"), **dict.fromkeys((*range(14, 23), 45, 46, 47), "d")}
"""Built-in number formats that matter here."""
_EPOCH = datetime.datetime(1899, 12, 30)
_EPOCH_1904 = datetime.datetime(1904, 1, 1)
_FIRST_DAY, _LAST_DAY = 61, 2_900_000
"""Range of dates. Earlier ones are off by one: Excel has a 29 February 1900."""
_CELL = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")

Rows = list[list[str]]


def is_workbook(data: bytes, label: str) -> bool:
    """Tell whether a file is a spreadsheet in a zip archive."""
    if not data.startswith(ZIP):
        return False
    with opened_zip(data, label) as archive:
        return any(name in (_BOOK, *_OTHER_BOOKS) for name in archive.namelist())


def read_workbook(data: bytes, label: str) -> tuple[pa.Table, tuple[str, ...]]:
    """Return the one sheet of a workbook that has content.

    Every cell becomes text: dates as YYYY-MM-DD, numbers with all their digits, and with a percent
    sign if they are shown as percent.

    Parameters
    ----------
    data : bytes
        The file.
    label : str
        Its name in messages.

    Returns
    -------
    table : pyarrow.Table
    notes : tuple of str
        What is unusual about the sheet.

    Raises
    ------
    InputError
        Several sheets have content, a formula was never calculated, or the workbook is damaged or
        too large.
    """
    with opened_zip(data, label) as archive:
        _check_size(archive, len(data), label)
        try:
            rows, hidden = _only_sheet(archive, label)
        except InputError:
            raise
        except (KeyError, IndexError, ValueError) as error:  # a part, a text or a number is missing
            raise InputError(
                f"{label}: the workbook cannot be read: {str(error)[:200]}; save the table as CSV"
            ) from error
    at = header_row(rows[:FIRST_ROWS])
    notes = rows_left_out(rows[:at], at, "row")
    if hidden:
        notes = (*notes, f"{hidden} hidden rows are read like any other")
    names, *cells = rows[at:]
    width = max(map(len, rows[at:]))
    if len(cells) * width > MAX_CELLS:
        raise InputError(f"{label}: the sheet is too large; save it as CSV")
    table = pa.table(
        [
            columns.text_column([row[k] if k < len(row) else "" for row in cells])
            for k in range(width)
        ],
        names=[*names, *[""] * (width - len(names))],
    )
    return table, notes


def _check_size(archive: zipfile.ZipFile, packed: int, label: str) -> None:
    limit = min(LARGEST, max(SMALL, MAX_RATIO * packed))
    if _BOOK not in archive.namelist():
        raise InputError(f"{label}: a spreadsheet of another kind; save it as .xlsx or CSV")
    if sum(part.file_size for part in archive.infolist()) > limit:
        raise InputError(
            f"{label}: the workbook unpacks to more than {limit:,} bytes; save the table as CSV"
        )


def _only_sheet(archive: zipfile.ZipFile, label: str) -> tuple[Rows, int]:
    """Return the cells of the one sheet with content, and the number of its hidden rows."""
    book = _read_book(archive, label)
    rows: Rows = []
    hidden = 0
    titles = []
    for title, part in book.sheets.items():
        sheet = _Sheet(book, f"{label}, sheet `{title[:60]}`")
        parse_xml(_pieces(archive, part), label, start=sheet.start, end=sheet.end, text=sheet.text)
        if any(sheet.rows):
            titles.append(title)
            rows, hidden = sheet.rows, sheet.hidden
    if not titles:
        raise InputError(f"{label}: the workbook is empty")
    if len(titles) > 1:
        names = ", ".join(f"`{title[:60]}`" for title in titles[:10])
        raise InputError(
            f"{label}: {len(titles)} sheets have content: {names}; keep one, or save it as CSV"
        )
    while not rows[-1]:
        rows.pop()
    return rows, hidden


@dataclass(frozen=True)
class _Book:
    """The parts of a workbook that its sheets share.

    Attributes
    ----------
    sheets : dict of str to str
        From the title of each sheet to its part.
    texts : list of str
        Texts that cells of type `s` refer to.
    formats : list of str
        By index of a style: `%`, `d` for dates, or empty.
    epoch : datetime.datetime
    """

    sheets: dict[str, str]
    texts: list[str]
    formats: list[str]
    epoch: datetime.datetime


def _read_book(archive: zipfile.ZipFile, label: str) -> _Book:
    parts: dict[str, dict[str, str]] = {"worksheet": {}, "sharedStrings": {}, "styles": {}}
    for _, link in _elements(archive, "xl/_rels/workbook.xml.rels", label, "Relationship"):
        kind = link["Type"].rpartition("/")[2]
        if kind in parts:
            parts[kind][link["Id"]] = posixpath.join("/xl", link["Target"]).lstrip("/")
    sheets: dict[str, str] = {}
    epoch = _EPOCH
    for name, told in _elements(archive, _BOOK, label, "sheet", "workbookPr"):
        if name == "workbookPr":
            epoch = _EPOCH_1904 if told.get("date1904") in ("1", "true") else _EPOCH
        else:
            number = next((value for key, value in told.items() if key.endswith(" id")), "")
            if number in parts["worksheet"]:
                # Removed, so that no part is read twice.
                sheets[told["name"]] = parts["worksheet"].pop(number)
    texts = [
        one for part in parts["sharedStrings"].values() for one in _shared(archive, part, label)
    ]
    formats = [one for part in parts["styles"].values() for one in _formats(archive, part, label)]
    return _Book(sheets, texts, formats if parts["styles"] else [""], epoch)


def _formats(archive: zipfile.ZipFile, part: str, label: str) -> list[str]:
    """Return the number format of each style: `%`, `d` for dates, or empty."""
    codes, formats = dict(_BUILT_IN), []
    cells = False
    for name, told in _elements(archive, part, label, "numFmt", "cellStyleXfs", "cellXfs", "xf"):
        if name == "numFmt":
            codes[int(told["numFmtId"])] = _LITERAL.sub("", told["formatCode"])
        elif name != "xf":
            cells = name == "cellXfs"
        elif cells:
            code = codes.get(int(told.get("numFmtId", 0)), "")
            percent, date = "%" in code, re.search("[dmyhs]", code.lower().replace("general", ""))
            formats.append("%" if percent else "d" if date else "")
    return formats


def _shared(archive: zipfile.ZipFile, part: str, label: str) -> list[str]:
    """Return the texts that cells refer to, without formatting and pronunciation."""
    texts: list[str] = []
    inside: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        inside.append(name)
        if name == "si":
            texts.append("")

    def text(text: str) -> None:
        if inside[-1] == "t" and "rPh" not in inside:
            texts[-1] += text
            if len(texts[-1]) > LONGEST_CELL:
                raise InputError(f"{label}: a text of more than {LONGEST_CELL:,} characters")

    parse_xml(_pieces(archive, part), label, start=start, end=lambda name: inside.pop(), text=text)
    return texts


def _elements(
    archive: zipfile.ZipFile, part: str, label: str, *names: str
) -> list[tuple[str, dict[str, str]]]:
    """Return the elements with these names in a small part."""
    found: list[tuple[str, dict[str, str]]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name in names:
            found.append((name, attributes))
        if len(found) > MAX_STYLES:
            raise InputError(f"{label}: {part} is too large; save the table as CSV")

    parse_xml(_pieces(archive, part), label, start=start, end=lambda _: None, text=lambda _: None)
    return found


def _pieces(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    with archive.open(part) as stream:
        while piece := stream.read(PIECE):
            yield piece


class _Sheet:
    """Receives the parser's events for a sheet; keeps its cells as text, by row."""

    def __init__(self, book: _Book, label: str) -> None:
        self.rows: Rows = []
        self.hidden = 0
        self._in_hidden = False
        self._book = book
        self._label = label
        self._size = self._cells = 0
        self._kind = self._style = ""
        self._formula = False
        self._value: str | None = None
        self._inside: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._inside.append(name)
        if name == "row":
            self._open_row(attributes)
        elif name == "c":
            self._open_cell(attributes)
        elif name == "f":
            self._formula = True
        elif name in ("v", "is"):
            self._value = ""

    def text(self, text: str) -> None:
        if self._value is None or self._inside[-1] not in ("v", "t") or "rPh" in self._inside:
            return
        self._value += text
        if len(self._value) > LONGEST_CELL:
            self._refuse_size()

    def end(self, name: str) -> None:
        self._inside.pop()
        if name == "c":
            self._close_cell()
        elif name == "row":
            row = self.rows[-1]
            while row and not row[-1].strip():
                row.pop()
            self.hidden += self._in_hidden and bool(row)

    def _open_row(self, attributes: dict[str, str]) -> None:
        self._in_hidden = attributes.get("hidden") in ("1", "true")
        number = int(attributes.get("r", len(self.rows) + 1))
        if number > MAX_ROWS:
            self._refuse_size()
        if number <= len(self.rows):
            raise ValueError(f"row {number} after row {len(self.rows)}")
        self.rows.extend([] for _ in range(number - len(self.rows)))

    def _open_cell(self, attributes: dict[str, str]) -> None:
        self._kind, self._style = attributes.get("t", "n"), attributes.get("s", "0")
        self._formula, self._value = False, None
        row = self.rows[-1]
        number = len(row) + 1
        if "r" in attributes:
            number = _column_number(attributes["r"], len(self.rows))
            if number <= len(row):
                raise ValueError(f"cell {attributes['r']} after column {len(row)}")
        self._cells += number - len(row)
        if number > MAX_COLUMNS or self._cells > MAX_CELLS:
            self._refuse_size()
        row.extend([""] * (number - len(row)))

    def _close_cell(self) -> None:
        value = self._value or ""
        if self._formula and not value and self._kind == "n":
            raise InputError(
                f"{self._label}: a formula in row {len(self.rows)}, column {len(self.rows[-1])} "
                "has no value; open the workbook in Excel and save it"
            )
        if value:
            cell = self.rows[-1][-1] = self._as_text(value)
            self._size += len(cell)
            if self._size > LARGEST:
                self._refuse_size()

    def _as_text(self, value: str) -> str:
        if self._kind == "s":
            return _at(self._book.texts, value)
        if self._kind == "b":
            return "true" if int(value) else "false"
        if self._kind == "d":
            return value.removesuffix("Z").removesuffix("T00:00:00")
        return self._number(value) if self._kind == "n" else value

    def _number(self, value: str) -> str:
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"number {value[:20]}")
        shown = _at(self._book.formats, self._style)
        if shown == "%":
            return f"{(Decimal(repr(number)) * 100).normalize():f}%"
        if shown == "d" and _FIRST_DAY <= number < _LAST_DAY:
            when = self._book.epoch + datetime.timedelta(seconds=round(number * 86400))
            return str(when if when.time() != datetime.time() else when.date())
        if value.isdecimal():
            return str(int(value))
        return str(int(number)) if number.is_integer() and abs(number) < WHOLE else repr(number)

    def _refuse_size(self) -> NoReturn:
        raise InputError(f"{self._label} is too large; save it as CSV")


def _at(words: list[str], number: str) -> str:
    if not number.isdecimal():
        raise ValueError(f"no number: {number[:20]}")
    return words[int(number)]


def _column_number(place: str, row: int) -> int:
    """Return the column of a cell such as AB12, which must be in the given row."""
    parts = _CELL.fullmatch(place)
    if not parts or int(parts[2]) != row:
        raise ValueError(f"cell {place[:20]} in row {row}")
    number = 0
    for letter in parts[1]:
        number = 26 * number + ord(letter) - 64
    return number
