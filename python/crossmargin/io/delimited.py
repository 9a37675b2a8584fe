"""Read delimited text as a table of texts: commas, semicolons, tabs or bars; no type guessing."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from crossmargin import columns
from crossmargin.exceptions import InputError
from crossmargin.io import limits
from crossmargin.io.headers import FIRST_ROWS, filled, header_row, rows_left_out

MAX_HEADER = 1 << 20
"""Most bytes up to the end of the header."""
DELIMITERS = ",;\t|"

_BLOCK = 16 << 20
_PIECE = 1 << 20
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Header:
    """The header of a delimited file.

    Attributes
    ----------
    names : list of str
    delimiter : str
    lines, size : int
        Number of lines before it, and their bytes.
    notes : tuple of str
        Notes on the content of these lines.
    """

    names: list[str]
    delimiter: str
    lines: int
    size: int
    notes: tuple[str, ...]


def read_delimited(data: bytes, label: str) -> tuple[pa.Table, str, tuple[str, ...]]:
    """Return delimited text as a table, with its delimiter and notes.

    Parameters
    ----------
    data : bytes
        UTF-8, UTF-16 with a byte-order mark, or else Windows-1252, which includes Latin-1.
    label : str
        Name of the file in messages.

    Returns
    -------
    table : pyarrow.Table
        Every column as text.
    delimiter : str
    notes : tuple of str
        What is unusual about the file.

    Raises
    ------
    InputError
        The file is not text, or lines have more or fewer cells than the header.
    """
    data, encoding = _as_utf8(data, label)
    header = _header(data, label)
    data = data[header.size :] if header.size else data
    if data.count(b'"') % 2:
        raise InputError(f"{label}: a quote is opened and never closed; rows would be lost")
    if b"\n" not in data and b"\r" not in data:
        data += b"\n"
    if len(data) > limits.SMALL:
        # Empty cells of a large file take one byte each in the file, and five in memory.
        cells = data.count(header.delimiter.encode())
        limits.check_shape(cells // len(header.names), len(header.names), label)
    try:
        table = _read(data, header)
    except pa.ArrowInvalid:
        _explain(data, header, label)
        raise
    if table.column_names != header.names:
        raise InputError(f"{label}: the header cannot be read; give one line of column names")
    _refuse_rows_within_cells(data, table, header, label)
    return table, header.delimiter, (*encoding, *header.notes)


def _as_utf8(data: bytes, label: str) -> tuple[bytes, tuple[str, ...]]:
    """Return text as UTF-8, with a note if it had another encoding."""
    if data.startswith(_UTF16):
        return _recoded(data, "utf-16", label), ("UTF-16 text",)
    if data.isascii() or _is_utf8(data):
        return data, ()
    note = "not UTF-8: read as Windows-1252 (Latin-1); if accents are wrong, save it as UTF-8"
    return _recoded(data, "cp1252", label), (note,)


def _is_utf8(data: bytes) -> bool:
    with contextlib.suppress(UnicodeDecodeError):
        for _ in _decoded(data, "utf-8"):
            pass
        return True
    return False


def _recoded(data: bytes, encoding: str, label: str) -> bytes:
    try:
        return b"".join(text.encode() for text in _decoded(data, encoding))
    except UnicodeError as error:
        raise InputError(f"{label}: neither UTF-8 nor {encoding} text; save it as UTF-8") from error


def _decoded(data: bytes, encoding: str) -> Iterator[str]:
    """Yield a text piece by piece, so that memory does not hold it in three forms."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for start in range(0, len(data), _PIECE):
        yield decoder.decode(data[start : start + _PIECE], final=start + _PIECE >= len(data))


def _header(data: bytes, label: str) -> Header:
    """Return the header; refuse a file that is not text."""
    head = data[:MAX_HEADER]
    if b"\0" in head:
        raise InputError(
            f"{label}: neither text nor Parquet (it has zero bytes); save it as UTF-8 if it is "
            "UTF-16 without its mark"
        )
    if len(data) > MAX_HEADER and not any(end in head for end in (b"\n", b"\r")):
        raise InputError(f"{label}: the header is longer than {MAX_HEADER:,} bytes")
    text = head.decode("utf-8-sig", errors="replace")
    lines = list(io.StringIO(text, newline=""))
    try:
        delimiter, rows, starts = _best_delimiter(lines)
    except csv.Error as error:
        raise InputError(f"{label}: the header cannot be read: {error}") from error
    if not any(map(filled, rows)):
        raise InputError(f"{label}: the file is empty")
    at = header_row(rows)
    names = rows[at]
    limits.check_shape(0, len(names), label)
    before = lines[: starts[at]]
    size = len("".join(before).encode()) + len(head) - len(head.removeprefix(codecs.BOM_UTF8))
    return Header(
        names, delimiter, len(before), size, rows_left_out(rows[:at], len(before), "line")
    )


def _best_delimiter(lines: list[str]) -> tuple[str, list[list[str]], list[int]]:
    """Return the delimiter that finds a header first, the first rows by it, and their lines.

    A header has two or more names, and the row after it two or more cells; a semicolon in a title
    does not split the rows below. If two delimiters find the same row, the one with more cells is
    taken.
    """
    found = []
    for delimiter in DELIMITERS:
        try:
            rows, starts = _first_rows(lines, delimiter)
        except csv.Error:  # with the wrong delimiter, a long header is one field
            continue
        if not any(map(filled, rows)):
            break
        at = header_row(rows)
        following = next((row for row in rows[at + 1 :] if row), None)
        if filled(rows[at]) > 1 and (following is None or len(following) > 1):
            found.append((at, -len(rows[at]), delimiter, rows, starts))
    if not found:
        return ",", *_first_rows(lines, ",")
    _, _, delimiter, rows, starts = min(found, key=lambda entry: entry[:2])
    return delimiter, rows, starts


def _first_rows(lines: list[str], delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Return the first rows, and the number of lines before each."""
    rows: list[list[str]] = []
    starts: list[int] = []
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        while len(rows) < FIRST_ROWS:
            start = reader.line_num
            rows.append(next(reader))
            starts.append(start)
    except StopIteration:
        pass
    except csv.Error:
        if not rows:
            raise
    return rows, starts


def _read(data: bytes, header: Header, ragged: list[pacsv.InvalidRow] | None = None) -> pa.Table:
    """Return all columns as text; read serially to list ragged rows with their numbers."""

    def skip_blanks(row: pacsv.InvalidRow) -> str:
        if not row.text.strip():
            return "skip"
        if ragged is not None:
            ragged.append(row)
        return "error"

    return pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(use_threads=ragged is None, block_size=_BLOCK),
        parse_options=pacsv.ParseOptions(
            delimiter=header.delimiter,
            newlines_in_values=b'"' in data,
            invalid_row_handler=skip_blanks,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(header.names, pa.string()), strings_can_be_null=False
        ),
    )


def _refuse_rows_within_cells(data: bytes, table: pa.Table, header: Header, label: str) -> None:
    """Refuse a cell that holds whole rows: two stray quotes enclose the rows between them."""
    lines = max(data.count(b"\n"), data.count(b"\r"))
    if b'"' not in data or len(header.names) < 2 or lines <= len(table) + 1:
        return
    for name, cells in zip(header.names, table.columns, strict=True):
        marks = pc.count_substring(cells, header.delimiter)
        whole = pc.greater_equal(marks, len(header.names) - 1)
        within = pc.index(
            pc.and_(whole, pc.match_substring_regex(cells, "[\r\n]")), columns.scalar(True)
        ).as_py()
        if within >= 0:
            raise InputError(
                f"{label}, row {within + 1}: `{name[:60]}` holds other rows, because a quote in it "
                "is opened and never closed; double or delete the quote"
            )


def _explain(data: bytes, header: Header, label: str) -> None:
    """Raise InputError for the first line that has another number of cells than the header."""
    ragged: list[pacsv.InvalidRow] = []
    with contextlib.suppress(pa.ArrowInvalid):
        _read(data, header, ragged)
    if ragged:
        row = ragged[0]
        raise InputError(
            f"{label}, line {row.number + header.lines}: {row.actual_columns} cells, but the "
            f"header has {row.expected_columns}: {row.text[:60]!r}; correct the line"
        )
