"""Write the files of a run's results, whole or not at all, and read them again."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from crossmargin import columns
from crossmargin.engine.executor import run_blocks
from crossmargin.exceptions import InputError
from crossmargin.files import read_file
from crossmargin.io.hashes import table_hash
from crossmargin.io.limits import MAX_BYTES
from crossmargin.io.parquet import read_parquet
from crossmargin.io.replace import flush, recover, rehearse, replacing
from crossmargin.results.schema import SCHEMA_VERSION

MANIFEST = "manifest.json"
RESULTS, ALLOCATION = "crossmargin results", "crossmargin allocation"
CALLS = "crossmargin calls"
UPCOMING = "crossmargin upcoming events"
RECONCILIATION = "crossmargin reconciliation"
KINDS = {
    RESULTS: "of earlier results",
    ALLOCATION: "of an earlier allocation",
    CALLS: "of earlier calls",
    UPCOMING: "of earlier upcoming events",
    RECONCILIATION: "of an earlier reconciliation",
}
"""What a directory of ours may hold, as its manifest says; each is replaced by its like only."""
MAX_MANIFEST = 64 << 20
"""Bytes; a manifest of ours has some thousands."""
FORMULA = "^[=+@\t\r\n-]"
"""First characters of a text that a spreadsheet takes as a formula."""


def write_results(
    out: str | Path,
    tables: Mapping[str, pa.Table],
    manifest: Mapping[str, Any],
    files: Mapping[str, bytes | Callable[[], bytes]] | None = None,
    *,
    what: str = RESULTS,
) -> Path:
    """Write all tables and the manifest to a directory, whole or not at all.

    Everything is written to a hidden directory beside `out`, flushed to disk, and put in its place
    in one step. Results of an earlier run are replaced; a directory that holds anything else is not
    touched. Whatever ends the process, `out` holds the earlier results or the new ones.

    Parameters
    ----------
    out
        The directory.
    tables
        Name (without `.parquet`) to table.
    manifest
        Plain JSON; its `run_id` goes into each table's metadata. A list `files` is added, with the
        size and SHA-256 of every file.
    files
        Other files beside the tables, by name: their bytes, or what makes them while the tables are
        written.
    what
        One of `KINDS`.
        `RESULTS`, `ALLOCATION` or `RECONCILIATION`.

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    ValueError
        If another file is named like a table or the manifest, or its name is a path.
    InputError
        `out` holds something other than results, or cannot be written.
    """
    own = {"", "..", MANIFEST, *(f"{name}.parquet" for name in tables)}
    for name in files or {}:
        if name in own or Path(name).name != name:
            raise ValueError(f"files: {name!r} is no name of a file beside the tables")
    target = _located(out)
    mark = {"format": what, "schema_version": SCHEMA_VERSION}
    metadata = {**mark, "run_id": str(manifest.get("run_id", ""))}
    check_target(target, what)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, partial(_added, what=what)) as fresh:
            fresh.mkdir()
            contents = [*(files or {}).items()]
            contents += [(f"{name}.parquet", table) for name, table in tables.items()]
            described: dict[str, dict[str, Any]] = {}

            def write(first: int, last: int) -> None:
                for name, content in contents[first:last]:
                    path = fresh / name
                    if isinstance(content, pa.Table):
                        _write_table(content.replace_schema_metadata(metadata), path)
                    else:
                        path.write_bytes(content if isinstance(content, bytes) else content())
                        flush(path)
                    described[name] = _described(path)

            # Compression, writing and hashing release the interpreter's lock.
            run_blocks(write, range(len(contents) + 1), threads=None, unit="files")
            content = {**mark, **manifest, "files": dict(sorted(described.items()))}
            text = json.dumps(content, indent=2, allow_nan=False) + "\n"
            (fresh / MANIFEST).write_text(text, encoding="utf-8")
            flush(fresh / MANIFEST)
            flush(fresh)
    except OSError as error:
        raise InputError(f"{target}: results cannot be written: {error}") from error
    return target


def write_table(table: pa.Table, path: str | Path) -> None:
    """Write a table to one file, CSV or Parquet by its name, whole or not at all.

    A CSV file is as `csv_bytes` has it.

    Raises
    ------
    InputError
        The name ends in neither, or the file cannot be written.
    """
    target = _located(path)
    writers = {
        ".csv": lambda table, path: path.write_bytes(csv_bytes(table)),
        ".parquet": pq.write_table,
    }
    if target.suffix not in writers:
        raise InputError(f"{target}: the name must end in {' or '.join(writers)}")
    try:
        if target.exists() and not (target.is_file() and os.access(target, os.W_OK)):
            raise InputError(f"{target}: not a file that can be written; give another name")
        recover(target)
        with replacing(target) as fresh:
            writers[target.suffix](table, fresh)
            flush(fresh)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error}") from error


def csv_bytes(table: pa.Table) -> bytes:
    """Return a table as a CSV file.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    sink = pa.BufferOutputStream()
    pacsv.write_csv(_inert(table), sink)
    return bytes(sink.getvalue())


def read_results(directory: str | Path, *names: str) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """Read tables of an earlier run, each checked against its hash in the manifest.

    Parameters
    ----------
    directory
        The directory to which `write_results` wrote them.
    names
        Names of the tables, without `.parquet`.

    Returns
    -------
    tables : dict of str to pyarrow.Table
    manifest : dict

    Raises
    ------
    InputError
        The directory holds no results, results of another version, or a table that is not the one
        that the run wrote.
    """
    folder = _located(directory)
    manifest = _manifest(folder)
    if manifest is None:
        raise InputError(f"{folder}: holds no results; give a directory written by a run")
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{folder}: results have version {version}, not {SCHEMA_VERSION}; run the book again"
        )
    tables = {}
    for name in names:
        path = folder / f"{name}.parquet"
        if path.name not in _listed(manifest) or not _is_regular(path):
            raise InputError(
                f"{folder}: {path.name} is missing or was changed after the run; run the book again"
            )
        try:
            tables[name] = _read_table(path)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise InputError(f"{path}: results cannot be read: {error}") from error
        _check_hash(tables[name], manifest, name, folder)
    return tables, manifest


def is_kept(directory: str | Path, name: str) -> bool:
    """Tell whether another file of a run was written, and is there."""
    folder = _located(directory)
    return name in _listed(_manifest(folder) or {}) and os.path.lexists(folder / name)


def read_file_beside(directory: str | Path, name: str) -> bytes | None:
    """Return another file of a run, checked against the manifest; None if it was not written.

    Raises
    ------
    InputError
        It is not the file that the run wrote.
    """
    folder = _located(directory)
    manifest = _manifest(folder) or {}
    if name not in _listed(manifest):
        return None
    data = read_file(folder / name, limit=MAX_BYTES, label=str(folder / name))
    described = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if manifest["files"][name] != described:
        raise InputError(
            f"{folder / name}: was changed after the run (its hash is not the one in {MANIFEST}); "
            "run the book again"
        )
    return data


def _read_table(path: Path) -> pa.Table:
    """Return a table as it was written; InputError if it is too large once unpacked."""
    data = read_file(path, limit=MAX_BYTES, label=str(path))
    # `read_parquet` returns texts as dictionaries.
    return read_parquet(data, str(path)).cast(pq.read_schema(pa.BufferReader(data)))


def _check_hash(table: pa.Table, manifest: dict[str, Any], name: str, folder: Path) -> None:
    """Refuse a table whose hash is not the one in the manifest."""
    try:
        expected = manifest["results"][name]["hash"]
    except (KeyError, TypeError):
        raise InputError(
            f"{folder / MANIFEST}: has no hash of {name}; run the book again"
        ) from None
    if expected != table_hash(table, without=("run_id",)):
        raise InputError(
            f"{folder / name}.parquet: was changed after the run (its hash is not the one in "
            f"{MANIFEST}); run the book again"
        )


def holds_results(directory: str | Path, run_id: str) -> bool:
    """Tell whether a directory holds the results of one run."""
    manifest = _manifest(_located(directory))
    return manifest is not None and manifest.get("run_id") == run_id


def check_target(out: str | Path, what: str = RESULTS) -> None:
    """Refuse a place where results cannot be written; call it before a long run.

    Leftovers of a killed run beside it are cleaned up.

    Parameters
    ----------
    out
        The directory.
    what
        One of `KINDS`.
        `RESULTS`, `ALLOCATION` or `RECONCILIATION`.

    Raises
    ------
    InputError
        `out` is a file, the current directory or a mount point, cannot be written to, or holds
        anything that we did not write, or something of ours of another kind.
    """
    target = _located(out)
    advice = f"give a new directory, or one {KINDS[what]}"
    try:
        if _is_mount(target):
            raise InputError(
                f"{target}: is a mount point, which cannot be replaced; give a directory inside it"
            )
        if _is_current(target):
            raise InputError(
                f"{target}: is the current directory, which would be replaced; {advice}"
            )
        recover(target, partial(_added, what=what))
        there = _is_there(target)
        above = next(folder for folder in target.parents if _is_there(folder))
        for folder in (target, above) if there else (above,):
            if not folder.is_dir():
                raise InputError(f"{folder}: is not a directory; {advice}")
            if not os.access(folder, os.W_OK | os.X_OK):
                raise InputError(f"{folder}: cannot be written to; {advice}")
        rehearse(above / target.name)
        for other in KINDS.keys() - {what}:
            if _manifest(target, other) is not None:
                raise InputError(f"{target}: holds {other}, which would be replaced; {advice}")
        foreign = _foreign(target, what) if there else []
        if foreign:
            more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
            raise InputError(
                f"{target}: holds {', '.join(foreign[:3])}{more} that crossmargin did not write; "
                f"{advice}"
            )
    except OSError as error:
        raise InputError(f"{target}: results cannot be written there: {error}") from error


def _located(path: str | Path) -> Path:
    """Return the path with links followed."""
    try:
        return Path(os.path.realpath(Path(path).expanduser()))
    except FileNotFoundError:
        raise InputError(
            f"{path}: the current directory is gone; change to another, or give a path from /"
        ) from None
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: the path cannot be followed: {error}") from None


def _is_there(path: Path) -> bool:
    """Tell whether a path exists; OSError if that cannot be known."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_current(folder: Path) -> bool:
    try:
        return folder == Path.cwd().resolve()
    except OSError:  # the current directory is gone
        return False


def _is_mount(folder: Path) -> bool:
    """Tell whether a directory is the top of a file system or a bind mount."""
    if os.path.ismount(folder):
        return True
    nothing = secrets.token_hex(16)
    try:
        # Renaming across mounts fails, even for a name that does not exist.
        os.rename(folder / nothing, folder.with_name(nothing))
    except OSError as error:
        return error.errno == errno.EXDEV
    return False


def _manifest(folder: Path, what: str = RESULTS) -> dict[str, Any] | None:
    """Return the manifest of the results in a directory; None if it holds none."""
    path = folder / MANIFEST
    try:
        if not _is_regular(path) or path.stat().st_size > MAX_MANIFEST:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and content.get("format") == what else None


def _listed(manifest: Mapping[str, Any]) -> set[str]:
    """Return the names of a run's files."""
    files = manifest.get("files")
    return {MANIFEST, *(files if isinstance(files, dict) else ())}


def _foreign(folder: Path, what: str) -> list[str]:
    """Return the names in a directory that we did not write there."""
    manifest = _manifest(folder, what)
    ours = set() if manifest is None else _listed(manifest)
    return sorted(
        path.name for path in folder.iterdir() if path.name not in ours or not _is_regular(path)
    )


def _added(folder: Path, what: str) -> list[str]:
    """Return the names that we did not write in our results, which may lack a manifest."""
    return [] if _manifest(folder, what) is None else _foreign(folder, what)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _described(path: Path) -> dict[str, Any]:
    """Return the description of a file for the manifest."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _inert(table: pa.Table) -> pa.Table:
    """Return a table whose texts a spreadsheet does not take as formulas."""
    for at, column in enumerate(table.columns):
        if pa.types.is_string(column.type):
            formula = pc.match_substring_regex(column, FORMULA)
            if not pc.any(formula).as_py():
                continue
            quoted = pc.binary_join_element_wise(columns.scalar("'"), column, columns.scalar(""))
            table = table.set_column(
                at, table.column_names[at], pc.if_else(formula, quoted, column)
            )
    return table


def _write_table(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet and wait until it is on disk."""
    # No dictionaries or statistics: amounts rarely repeat, and readers read whole tables.
    repeating = [
        field.name
        for field in table.schema
        if not (pa.types.is_decimal(field.type) or pa.types.is_floating(field.type))
    ]
    pq.write_table(table, path, use_dictionary=repeating, write_statistics=False)
    flush(path)
