"""Read a file, or a table of another library, as an Arrow table; no types are guessed."""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import files
from crossmargin.columns import TEXT
from crossmargin.exceptions import InputError
from crossmargin.io import limits
from crossmargin.io.archives import unpacked
from crossmargin.io.delimited import read_delimited
from crossmargin.io.fixml import is_fixml, read_fixml
from crossmargin.io.hashes import table_hash
from crossmargin.io.headers import named_columns
from crossmargin.io.parquet import MAGIC, is_text, read_parquet
from crossmargin.io.workbooks import is_workbook, read_workbook
from crossmargin.io.xml_feed import looks_like_xml, read_xml_feed

_FOREIGN = {
    b"PK": "a zip archive that is empty or holds another archive: unpack it",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls), or one with a password: save it as .xlsx",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: decompress it, or use gzip",
    b"BZh": "compressed with bzip2: decompress it, or use gzip",
    b"\xfd7zXZ": "compressed with xz: decompress it, or use gzip",
    b"ARROW1": "an Arrow IPC file: write it as Parquet",
}
_UNREADABLE = (
    *(pa.ArrowException, OSError, EOFError, ValueError, MemoryError),
    *(zlib.error, zipfile.BadZipFile, NotImplementedError, struct.error),
)

T = TypeVar("T")
Source: TypeAlias = str | Path | Any
"""A path, or a table with the Arrow PyCapsule protocol (pandas, polars, pyarrow, ...)."""


@dataclass(frozen=True)
class Stamp:
    """What a report says of itself: upper-case texts as in the file, the date as YYYY-MM-DD.

    Attributes
    ----------
    business_date, cycle, run : str
        Blank where it says nothing.
    """

    business_date: str
    cycle: str
    run: str

    def __str__(self) -> str:
        """Return the stamp for messages."""
        run = f" run {self.run}" if self.run else ""
        return f"{self.business_date} {self.cycle}{run}".strip()

    def contradicts(self, other: Stamp) -> bool:
        """Tell whether both say something, and not the same."""
        return any(
            mine and theirs and mine != theirs
            for mine, theirs in zip(astuple(self), astuple(other), strict=True)
        )


@dataclass(frozen=True)
class Given:
    """A table as it was given.

    Attributes
    ----------
    table : pyarrow.Table
        CSV columns are all text. Texts are strings or dictionaries of strings, as in Parquet; other
        columns have their plain type.
    hash : str
        SHA-256 of the file, or of the table if a table was given.
    notes : tuple of str
        Notes for the user on how it was read.
    point : bool
        Whether a point is the decimal mark of its numbers. False: a file that is not separated by
        commas may use decimal commas; its columns must show which.
    path : str
        Absolute path of the file; empty if a table was given.
    stamp : Stamp, optional
        When a report is of.
    ours : bool
        Written by us, in our columns: a columns file is not about it.
    """

    table: pa.Table
    hash: str
    notes: tuple[str, ...] = ()
    point: bool = True
    path: str = ""
    stamp: Stamp | None = None
    ours: bool = False


def read_table(source: Source, *, name: str) -> Given:
    """Return a table read from a path or taken from another library.

    Parameters
    ----------
    source
        A path to delimited text or Parquet, plain or in gzip or zip, or to an Excel workbook; the
        content decides, not the file's name. Or an object with ``__arrow_c_stream__`` or
        ``__arrow_c_array__``. Or a table that was read already.
    name
        Name of the table in messages.

    Returns
    -------
    Given

    Raises
    ------
    InputError
        The file is missing, too large, or not a flat table; the message names it and what to do.
    TypeError
        `source` is neither a path nor a table.
    """
    if isinstance(source, Given):
        return source
    if isinstance(source, str | Path):
        label = f"{name} file {source}"
        data = _read(Path(source), label)
        given = guarded(lambda: _from_bytes(data, label), label)
    elif hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        label = f"{name} table"
        given = guarded(lambda: Given(_from_object(source, label), ""), label)
    else:
        raise TypeError(
            f"{name}: expected a path, or a pandas, polars or Arrow table, "
            f"not {type(source).__name__}"
        )
    limits.check_shape(given.table.num_rows, given.table.num_columns, label)
    table, notes = guarded(lambda: named_columns(given.table, label), label)
    table = guarded(lambda: _plain(table, label), label).replace_schema_metadata(None)
    return Given(
        table,
        given.hash or _hash(table, label),
        (*given.notes, *notes),
        given.point,
        files.absolute(source) if isinstance(source, str | Path) else "",
    )


def read_bytes(path: Path, *, name: str) -> bytes:
    """Return a file's bytes, unpacked if it is gzip or a zip archive of one file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the input in messages.

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
    return guarded(lambda: unpacked(data, label), label)


def is_file_of(path: str | Path, digest: str, *, name: str) -> bool:
    """Tell whether a file has the hash that an earlier run recorded of it.

    Parameters
    ----------
    path : str or Path
    digest : str
        As in the manifest: of the file as it lies, or of what its archive holds.
    name : str
        Name of the input in messages.

    Returns
    -------
    bool

    Raises
    ------
    InputError
        The file cannot be read, is empty or too large.
    """
    label = f"{name} file {path}"
    data = _read(Path(path), label)
    if hashlib.sha256(data).hexdigest() == digest:
        return True
    return hashlib.sha256(guarded(lambda: unpacked(data, label), label)).hexdigest() == digest


def _hash(table: pa.Table, label: str) -> str:
    try:
        return table_hash(table)
    except TypeError as error:
        raise InputError(f"{label}: {error}; drop the column") from None


def guarded(read: Callable[[], T], label: str) -> T:
    """Run a reader; turn any error that the input causes into an InputError."""
    try:
        return read()
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(f"{label}: cannot be read: {_brief(error)}") from error


def _read(path: Path, label: str) -> bytes:
    data = files.read_file(path, limit=limits.MAX_BYTES, label=label)
    if not data:
        raise InputError(f"{label}: the file is empty")
    return data


def _from_bytes(file: bytes, label: str) -> Given:
    digest = hashlib.sha256(file).hexdigest()
    if is_workbook(file, label):
        table, notes = read_workbook(file, label)
        return Given(table, digest, notes)
    data = unpacked(file, label)
    for magic, advice in _FOREIGN.items():
        if data.startswith(magic):
            raise InputError(f"{label}: this is {advice}")
    if looks_like_xml(data):
        if is_fixml(data):
            table, notes = read_fixml(data, label)
            return Given(table, digest, notes)
        return Given(read_xml_feed(data, label), digest)
    if data.startswith(MAGIC):
        return Given(read_parquet(data, label), digest)
    table, delimiter, notes = read_delimited(data, label)
    return Given(table, digest, notes, point=delimiter == ",")


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


def _plain(table: pa.Table, label: str) -> pa.Table:
    """Return the table with one type for all texts, and dictionaries for texts only."""
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_dictionary(column.type):
            column = _dictionary(column, f"{label}, column `{name}`")
        columns.append(column.cast(pa.string()) if is_text(column.type) else column)
    return pa.table(columns, names=table.column_names)


def _dictionary(column: pa.ChunkedArray, label: str) -> pa.ChunkedArray:
    """Return a dictionary of texts as `TEXT`, any other dictionary decoded."""
    if not is_text(column.type.value_type):
        return column.cast(column.type.value_type)
    chunks, size = [], 0
    for chunk in column.chunks:
        values, index = chunk.dictionary.cast(pa.string()), chunk.indices.cast(pa.int32())
        size += pc.sum(pc.binary_length(values).take(index)).as_py() or 0
        if size > limits.MAX_BYTES:
            raise InputError(f"{label}: more than {limits.MAX_BYTES:,} bytes of text; shorten it")
        chunks.append(pa.DictionaryArray.from_arrays(index, values))
    return pa.chunked_array(chunks, type=TEXT)


def _brief(error: BaseException) -> str:
    """Return the first line of an error's text, at most 200 characters."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:200]
