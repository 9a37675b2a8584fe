"""The files of a run's results: written whole or not at all, and read again."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from crossmargin.book.exceptions import InputError
from crossmargin.engine.executor import run_blocks
from crossmargin.io.hashes import table_hash

SCHEMA_VERSION = "1"
"""Of the tables written; it changes when a column changes its name or meaning."""
MANIFEST = "manifest.json"
FORMAT = "crossmargin results"


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
    """Read tables of an earlier run, each checked against its hash in the manifest.

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
        If the directory holds no results, those of another version, or a table that is not the one
        the run wrote.
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
    for name, table in tables.items():
        _check_hash(table, manifest, name, folder)
    return tables, manifest


def _check_hash(table: pa.Table, manifest: dict[str, Any], name: str, folder: Path) -> None:
    """Refuse a table that is not the one the manifest speaks of."""
    try:
        expected = manifest["results"][name]["hash"]
    except (KeyError, TypeError):
        raise InputError(
            f"{folder / MANIFEST}: has no hash of {name}; run the book again"
        ) from None
    if expected != table_hash(table, without=("run_id",)):
        raise InputError(
            f"{folder / name}.parquet: was changed after the run, its hash is not that of "
            f"{MANIFEST}; run the book again"
        )


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
