"""Results: tables that go out as Arrow, pandas or polars, money, hashes, and the files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from crossmargin import columns
from crossmargin.book.exceptions import InputError
from crossmargin.engine.executor import run_blocks

SCHEMA_VERSION = "1"
"""Of the tables written; it changes when a column changes its name or meaning."""
MANIFEST = "manifest.json"
FORMAT = "crossmargin results"
MONEY = pa.decimal128(20, 2)
"""USD with cents."""


class Table:
    """A result table; speaks the Arrow PyCapsule protocol.

    Parameters
    ----------
    table
        The Arrow table; never changed.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def to_arrow(self) -> pa.Table:
        """Return the pyarrow table itself."""
        return self._table

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame; money as `decimal.Decimal`. Needs pandas."""
        return self._table.to_pandas()

    def to_polars(self) -> Any:
        """Return a polars DataFrame. Needs polars."""
        import polars

        return polars.from_arrow(self._table)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand the table over to another Arrow library."""
        return self._table.__arrow_c_stream__(requested_schema)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
        names: list[str] = self._table.column_names
        return names

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._table.num_rows)

    def __repr__(self) -> str:
        """Show the shape and the columns."""
        return f"<Table {len(self):,} rows: {', '.join(self.column_names)}>"


def money(
    cents: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_] | None = None
) -> pa.Decimal128Array:
    """Return whole cents as decimal(20, 2), exactly.

    Parameters
    ----------
    cents : ndarray of int64, [N]
        Amounts in cents.
    valid : ndarray of bool, [N], optional
        False where the amount is not known: null.
    """
    low = np.ascontiguousarray(cents, dtype=np.int64)
    # A 128-bit two's complement, low word first; the high word only repeats the sign.
    words = np.column_stack([low, low >> 63]).astype("<i8")
    return columns.from_buffer(MONEY, low.size, words, valid)


def table_hash(table: pa.Table, *, without: tuple[str, ...] = ()) -> str:
    """Return a hash of a table's names, types and values, independent of chunks and metadata.

    Parameters
    ----------
    table : pyarrow.Table
        Flat columns: texts, numbers, flags, dates, times, decimals.
    without : tuple of str, optional
        Columns left out, such as `run_id`.

    Returns
    -------
    str
        SHA-256, hexadecimal.

    Raises
    ------
    TypeError
        If a column is nested.
    """
    digest = hashlib.sha256(str(table.num_rows).encode())
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in without:
            continue
        values = _canonical(column)
        digest.update(f"\0{len(name)}:{name}\0{values.type}\0".encode())
        for part in _bytes(values):
            digest.update(part)
    return digest.hexdigest()


def source_hash(table: pa.Table) -> str:
    """Return the hash of the file a table was read from, or of the table if it came as one."""
    metadata = table.schema.metadata or {}
    return metadata[b"sha256"].decode() if b"sha256" in metadata else table_hash(table)


def write_results(
    out: str | Path, tables: Mapping[str, pa.Table], manifest: Mapping[str, Any]
) -> Path:
    """Write all tables and the manifest to a directory, whole or not at all.

    Everything is written to a hidden directory beside `out`, flushed to the disk and then renamed.
    Results of an earlier run are replaced; a directory that holds anything else is not touched. A
    process killed in the middle leaves `out` as it was.

    Parameters
    ----------
    out
        The directory.
    tables
        Name (without `.parquet`) to table.
    manifest
        Plain JSON; its `run_id` goes into each table's metadata.

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    InputError
        If `out` is something else than results, or cannot be written.
    """
    target = Path(out).expanduser().resolve()
    mark = {"format": FORMAT, "schema_version": SCHEMA_VERSION}
    metadata = {**mark, "run_id": str(manifest.get("run_id", ""))}
    text = json.dumps({**mark, **manifest}, indent=2, allow_nan=False) + "\n"
    check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _beside(target) as fresh:
            names = list(tables)

            def write(first: int, last: int) -> None:
                for name in names[first:last]:
                    _write_table(tables[name].replace_schema_metadata(metadata), fresh, name)

            # Compression and writing run outside the interpreter's lock.
            run_blocks(write, range(len(names) + 1), threads=None, unit="tables")
            (fresh / MANIFEST).write_text(text, encoding="utf-8")
            _flush(fresh / MANIFEST)
            _flush(fresh)
            _put(fresh, target)
            _flush(target.parent)
    except OSError as error:
        raise InputError(f"{target}: results cannot be written: {error}") from error
    return target


def write_table(table: pa.Table, path: str | Path) -> None:
    """Write a table to one file, CSV or Parquet by its name.

    Raises
    ------
    InputError
        If the name ends in neither, or the file cannot be written.
    """
    target = Path(path).expanduser()
    writers = {".csv": pacsv.write_csv, ".parquet": pq.write_table}
    if target.suffix not in writers:
        raise InputError(f"{target}: the name must end in {' or '.join(writers)}")
    try:
        writers[target.suffix](table, target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error}") from error


def read_results(directory: str | Path, *names: str) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """Read tables of an earlier run, and its manifest.

    Parameters
    ----------
    directory
        Where `write_results` put them.
    names
        Of the tables, without `.parquet`.

    Returns
    -------
    tables : dict of str to pyarrow.Table
    manifest : dict

    Raises
    ------
    InputError
        If the directory holds no results, or those of another version.
    """
    folder = Path(directory).expanduser()
    try:
        if not _is_ours(folder / MANIFEST):
            raise InputError(f"{folder}: holds no results; give a directory that a run has written")
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version = manifest.get("schema_version")
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{folder}: results of version {version}, not {SCHEMA_VERSION}; run the book again"
            )
        tables = {name: pq.read_table(folder / f"{name}.parquet") for name in names}
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{folder}: results cannot be read: {error}") from error
    return tables, manifest


def check_target(out: str | Path) -> None:
    """Refuse a place for results that holds something else; call it before a long run.

    Raises
    ------
    InputError
        If `out` is a file, or a directory with anything that we did not write.
    """
    target = Path(out).expanduser().resolve()
    advice = "give a new directory, or one of earlier results"
    try:
        if not target.exists():
            return
        if not target.is_dir():
            raise InputError(f"{target}: is not a directory; {advice}")
        names = {path.name for path in target.iterdir()}
        if not names:
            return
        foreign = sorted(n for n in names if n != MANIFEST and not n.endswith(".parquet"))
        if foreign or not _is_ours(target / MANIFEST):
            raise InputError(
                f"{target}: holds {foreign[0] if foreign else 'files'} that crossmargin did not "
                f"write; {advice}"
            )
    except OSError as error:
        raise InputError(f"{target}: cannot be looked into: {error}") from error


def _is_ours(manifest: Path) -> bool:
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Make a hidden directory beside the target; whatever is left of it goes."""
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    fresh.mkdir()
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _write_table(table: pa.Table, folder: Path, name: str) -> None:
    """Write a table as Parquet, on the disk on return."""
    path = folder / f"{name}.parquet"
    # Amounts rarely repeat, and statistics of whole tables help no reader to skip anything.
    repeating = [
        field.name
        for field in table.schema
        if not (pa.types.is_decimal(field.type) or pa.types.is_floating(field.type))
    ]
    pq.write_table(table, path, use_dictionary=repeating, write_statistics=False)
    _flush(path)


def _put(fresh: Path, target: Path) -> None:
    """Rename the new directory to its place; the old one is put aside first, then removed."""
    if not target.exists():
        fresh.rename(target)
        return
    old = fresh.with_suffix(".old")
    target.rename(old)
    try:
        fresh.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    """Wait until a file, or a directory's list of names, is on the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # Windows opens no directories
        if path.is_dir():
            return
        raise
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _canonical(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in a type with one layout."""
    column = columns.plain(column)
    kind = column.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    return column


def _bytes(column: pa.ChunkedArray) -> Iterator[memoryview]:
    """Yield which cells are there, then the values, with nulls as zero or empty."""
    kind = column.type
    yield np.packbits(columns.is_known(column)).data
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    if pa.types.is_null(kind):
        return
    if pa.types.is_string(kind):
        chunks = [chunk.fill_null(columns.scalar("")) for chunk in chunks]
        offsets = [
            np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset :][: len(chunk) + 1]
            for chunk in chunks
        ]
        yield from (np.diff(offset).data for offset in offsets)
        for chunk, offset in zip(chunks, offsets, strict=True):
            if offset[-1] > offset[0]:
                yield memoryview(chunk.buffers()[2])[offset[0] : offset[-1]]
    elif pa.types.is_boolean(kind):
        yield from (columns.flags(chunk).data for chunk in chunks)
    elif pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
        width = kind.bit_width // 8
        for chunk in chunks:
            words = np.frombuffer(chunk.buffers()[1], np.uint8)
            words = words[chunk.offset * width :][: len(chunk) * width]
            if chunk.null_count:
                words = np.where(np.repeat(columns.is_known(chunk), width), words, np.uint8(0))
            yield words.data
    else:
        raise TypeError(f"a column of {kind} has no hash; give flat columns")
