"""From a file, or a table of another library, to an Arrow table: nothing is inferred."""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import io
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from crossmargin.book.exceptions import InputError
from crossmargin.columns import TEXT
from crossmargin.io.hashes import table_hash
from crossmargin.io.xml_feed import looks_like_xml, read_xml_feed

MAX_BYTES = 1 << 30
"""Largest file, and largest table once decompressed."""
MAX_ROWS = 50_000_000
MAX_COLUMNS = 20_000
MAX_HEADER = 1 << 20
MAX_GZIP_RATIO = 250
"""A table of figures compresses 3 to 40 times; far more is a file made to fill the memory."""

_SMALL = 64 << 20
_PIECE = 1 << 20
_BLOCK = 16 << 20
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_FOREIGN = {
    b"PK\x03\x04": "an Excel workbook or a zip archive: save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save the table as CSV",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: decompress it, or use gzip",
    b"BZh": "compressed with bzip2: decompress it, or use gzip",
    b"\xfd7zXZ": "compressed with xz: decompress it, or use gzip",
    b"ARROW1": "an Arrow IPC file: write it as Parquet",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
}
_UNREADABLE = (pa.ArrowException, OSError, EOFError, zlib.error, ValueError, MemoryError)

T = TypeVar("T")
Source: TypeAlias = str | Path | Any
"""A path, or an object that speaks the Arrow PyCapsule protocol (pandas, polars, pyarrow, ...)."""


@dataclass(frozen=True)
class Given:
    """A table as it was given.

    Attributes
    ----------
    table : pyarrow.Table
        Every CSV column as text. Texts as strings or as dictionaries of them, which is how Parquet
        has them; all else of its plain type.
    hash : str
        SHA-256 of the file, or of the table if it came as one.
    notes : tuple of str
        What the user should know of how it was read.
    """

    table: pa.Table
    hash: str
    notes: tuple[str, ...] = ()


def read_table(source: Source, *, name: str) -> Given:
    """Read a table from a path, or take it over from another library.

    Parameters
    ----------
    source
        A path to CSV or Parquet, plain or gzip (told by content, never by the file's name), or an
        object with ``__arrow_c_stream__`` or ``__arrow_c_array__``.
    name
        What the table is called in messages.

    Returns
    -------
    Given

    Raises
    ------
    InputError
        If the file is missing, too large, or no flat table; the message names it and what to do.
    TypeError
        If `source` is neither a path nor a table.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        label = f"{name} file {path}"
        data = _read(path, label)
        table = _guarded(lambda: _from_bytes(data, label), label)
        digest = hashlib.sha256(data).hexdigest()
    elif hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        label = f"{name} table"
        table = _guarded(lambda: _from_object(source, label), label)
        digest = ""
    else:
        raise TypeError(
            f"{name}: expected a path, or a pandas, polars or Arrow table, "
            f"not {type(source).__name__}"
        )
    _check_shape(table.num_rows, table.num_columns, label)
    names = [column.strip() for column in table.column_names]
    repeated = sorted({column for column in names if names.count(column) > 1})[:5]
    if repeated:
        raise InputError(f"{label}: column `{repeated[0]}` is there more than once; keep one")
    table = _guarded(lambda: _plain(table.rename_columns(names), label), label)
    table = table.replace_schema_metadata(None)
    return Given(table, digest or _hash(table, label))


def read_bytes(path: Path, *, name: str) -> bytes:
    """Return a file's bytes, decompressed where it is gzip.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        What the input is called in messages.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        The file cannot be read, is empty or too large.
    """
    label = f"{name} file {path}"
    data = _read(path, label)
    return _guarded(lambda: _gunzip(data, label), label) if data.startswith(_GZIP) else data


def _hash(table: pa.Table, label: str) -> str:
    try:
        return table_hash(table)
    except TypeError as error:
        raise InputError(f"{label}: {error}; drop the column") from None


def _guarded(read: Callable[[], T], label: str) -> T:
    """Run a reader; whatever it trips over in the input is an InputError."""
    try:
        return read()
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(f"{label}: cannot be read: {_brief(error)}") from error


def _read(path: Path, label: str) -> bytes:
    """Return the file's bytes, decompressed nowhere, after a look at its size."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{label}: not a regular file; give a CSV or Parquet file")
        if status.st_size > MAX_BYTES:
            raise InputError(
                f"{label}: {status.st_size:,} bytes, above the limit of {MAX_BYTES:,}; split it"
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{label}: no such file") from None
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{label}: cannot be opened: {_brief(error)}") from error
    if not data:
        raise InputError(f"{label}: the file is empty")
    return data


def _from_bytes(data: bytes, label: str) -> pa.Table:
    if data.startswith(_GZIP):
        data = _gunzip(data, label)
    for magic, advice in _FOREIGN.items():
        if data.startswith(magic):
            raise InputError(f"{label}: this is {advice}")
    if looks_like_xml(data):
        return read_xml_feed(data, label)
    return _from_parquet(data, label) if data.startswith(_PARQUET) else _from_csv(data, label)


def _gunzip(data: bytes, label: str) -> bytes:
    """Decompress piece by piece, so that a bomb is refused before it fills the memory."""
    limit = min(MAX_BYTES, max(_SMALL, MAX_GZIP_RATIO * len(data)))
    pieces, size = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        while piece := stream.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise InputError(f"{label}: decompresses to more than {limit:,} bytes; refused")
    return b"".join(pieces)


def _from_parquet(data: bytes, label: str) -> pa.Table:
    buffer = pa.BufferReader(data)
    file = pq.ParquetFile(buffer)
    metadata = file.metadata
    _check_shape(metadata.num_rows, metadata.num_columns, label)
    size = sum(metadata.row_group(g).total_byte_size for g in range(metadata.num_row_groups))
    if size > MAX_BYTES:
        raise InputError(f"{label}: {size:,} bytes of data, above the limit of {MAX_BYTES:,}")
    # Texts come as dictionaries: a short file can stand for very many long repeated texts.
    texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
    table = pq.ParquetFile(buffer, read_dictionary=texts).read()
    table.validate(full=True)  # texts that are no UTF-8, indices that point nowhere
    return table


def _from_csv(data: bytes, label: str) -> pa.Table:
    names = _csv_header(data, label)
    if data.count(b'"') % 2:
        raise InputError(f"{label}: a quote is opened and never closed; rows would be lost")
    if b"\n" not in data and b"\r" not in data:
        data += b"\n"
    try:
        table = _read_csv(data, names)
    except pa.ArrowInvalid:
        _explain(data, names, label)
        raise
    if table.column_names != names or any(not _is_text(t) for t in table.schema.types):
        raise InputError(f"{label}: the header cannot be read; give one line of column names")
    return table


def _read_csv(
    data: bytes, names: list[str], ragged: Callable[[pacsv.InvalidRow], str] | None = None
) -> pa.Table:
    """Read CSV as text; serially where ragged rows are asked for: only then they are numbered."""
    return pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(use_threads=ragged is None, block_size=_BLOCK),
        parse_options=pacsv.ParseOptions(
            newlines_in_values=b'"' in data, invalid_row_handler=ragged
        ),
        convert_options=pacsv.ConvertOptions(
            column_types={name: pa.string() for name in names}, strings_can_be_null=False
        ),
    )


def _explain(data: bytes, names: list[str], label: str) -> None:
    """Say why CSV cannot be read, if it is the encoding or a line of uneven length."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8(label, error) from error

    def refuse(row: pacsv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    ragged: list[pacsv.InvalidRow] = []
    with contextlib.suppress(pa.ArrowInvalid):
        _read_csv(data, names, refuse)
    if ragged:
        row = ragged[0]
        raise InputError(
            f"{label}, line {row.number}: {row.actual_columns} cells where the header has "
            f"{row.expected_columns}: {row.text[:60]!r}; correct the line"
        )


def _not_utf8(label: str, error: UnicodeDecodeError) -> InputError:
    return InputError(f"{label}, byte {error.start}: not UTF-8; save it as UTF-8")


def _csv_header(data: bytes, label: str) -> list[str]:
    """Return the column names; refuse what is no comma-separated UTF-8 text."""
    head = data[:MAX_HEADER]
    if b"\0" in head:
        raise InputError(f"{label}: neither CSV nor Parquet (it has zero bytes)")
    try:
        text = head.decode("utf-8-sig", errors="replace" if len(data) > MAX_HEADER else "strict")
        names = next((row for row in csv.reader(io.StringIO(text, newline="")) if row), None)
    except UnicodeDecodeError as error:
        raise _not_utf8(label, error) from error
    except csv.Error as error:
        raise InputError(f"{label}: the header cannot be read: {error}") from error
    if not names:
        raise InputError(f"{label}: the file is empty")
    if len(data) > MAX_HEADER and not any(end in head for end in (b"\n", b"\r")):
        raise InputError(f"{label}: the header is longer than {MAX_HEADER:,} bytes")
    if len(names) > MAX_COLUMNS:
        _check_shape(0, len(names), label)
    if len(names) == 1:
        for mark, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if mark in names[0]:
                raise InputError(f"{label}: columns are parted by {called}; use commas")
    return names


def _from_object(source: Any, label: str) -> pa.Table:
    try:
        table = source if isinstance(source, pa.Table) else pa.table(source)
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:  # pandas: texts and numbers in one column
        reason = "; ".join(map(str, error.args))
        raise InputError(
            f'{label}: {reason}; make it one type, texts by .astype("string")'
        ) from None
    index = [name for name in table.column_names if name.startswith("__index_level_")]
    table.validate(full=True)
    return table.drop_columns(index) if index else table


def _check_shape(rows: int, columns: int, label: str) -> None:
    if columns > MAX_COLUMNS:
        raise InputError(f"{label}: {columns:,} columns, above the limit of {MAX_COLUMNS:,}")
    if rows > MAX_ROWS:
        raise InputError(f"{label}: {rows:,} rows, above the limit of {MAX_ROWS:,}; split it")


def _plain(table: pa.Table, label: str) -> pa.Table:
    """Return the table with dictionaries of texts alone, and one type for each kind of text."""
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_dictionary(column.type):
            column = _dictionary(column, f"{label}, column `{name}`")
        columns.append(column.cast(pa.string()) if _is_text(column.type) else column)
    return pa.table(columns, names=table.column_names)


def _dictionary(column: pa.ChunkedArray, label: str) -> pa.ChunkedArray:
    """Return a dictionary of texts as `TEXT`, any other one decoded."""
    if not _is_text(column.type.value_type):
        return column.cast(column.type.value_type)
    chunks, size = [], 0
    for chunk in column.chunks:
        values, index = chunk.dictionary.cast(pa.string()), chunk.indices.cast(pa.int32())
        size += pc.sum(pc.binary_length(values).take(index)).as_py() or 0
        if size > MAX_BYTES:
            raise InputError(f"{label}: more than {MAX_BYTES:,} bytes of text; shorten it")
        chunks.append(pa.DictionaryArray.from_arrays(index, values))
    return pa.chunked_array(chunks, type=TEXT)


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _brief(error: BaseException) -> str:
    """Return the first line of an error's text, at most 200 characters."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:200]
