"""The ledger's file: opened for one call at a time, written by one process, never trusted.

DuckDB runs without extensions and without access to any other file, within limits of memory and
threads. The file is open only while it is read or written, so that readers and the writer rarely
meet; whoever does waits. A writer holds ``PATH.lock`` for as long as it lives.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa

from crossmargin.cycles.lock import claim, release
from crossmargin.exceptions import InputError
from crossmargin.io.replace import recover, replacing
from crossmargin.results.schema import DATE, FLAG, NUMBER, TEXT, WHOLE
from crossmargin.results.schemas.ledger import KEPT
from crossmargin.results.table import MONEY
from crossmargin.version import __version__

FORMAT = "crossmargin ledger"
CENTS = pa.decimal128(18, 2)
"""An amount in the file: the most digits that DuckDB holds in 64 bits."""
SQL_TYPE = {
    TEXT: "VARCHAR",
    NUMBER: "DOUBLE",
    WHOLE: "BIGINT",
    FLAG: "BOOLEAN",
    DATE: "DATE",
    MONEY: "DECIMAL(18,2)",
}
STEPS = {
    "record": "BIGINT",
    "day": "DATE",
    "cycle": "VARCHAR",
    "run": "BIGINT",
    "step": "VARCHAR",
    "recorded_at": "VARCHAR",
    "policy": "VARCHAR",
    "policy_hash": "VARCHAR",
    "inputs": "VARCHAR",
    "outputs": "VARCHAR",
    "tables": "VARCHAR",
    "late": "VARCHAR",
    "fallback": "VARCHAR",
    "adjusts": "BIGINT",
    "version": "VARCHAR",
    "run_id": "VARCHAR",
    "hash_before": "VARCHAR",
    "hash": "VARCHAR",
}
"""The columns of the steps."""
PATIENCE = 20.0
"""Seconds to wait for another process that has the file open for a query or a record."""
SETTINGS = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "memory_limit": "2GB",
    "threads": "2",
    "lock_configuration": "true",
}
_ONE_AT_A_TIME = threading.Lock()
"""Closing a file drops the locks of the whole process on it, so no two calls have it open."""


class LedgerFile:
    """A file of the ledger.

    Parameters
    ----------
    path : str or Path
    write : bool
        Whether to make the file if there is none, and to keep other writers out.
    """

    def __init__(self, path: str | Path, *, write: bool) -> None:
        try:
            self.path = Path(os.path.realpath(Path(path).expanduser()))
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{path}: the path cannot be followed: {error}") from None
        self.duckdb = _duckdb()
        self._lock: int | None = None
        if write:
            with _ONE_AT_A_TIME:
                if os.path.lexists(self.path):
                    _check(self.path)
            self._lock = _claim(self.path)
        try:
            if write:
                self._clean()
            if write and not os.path.lexists(self.path):
                self._create()
            with self.reading():
                pass
        except BaseException:
            self.close()
            raise

    @property
    def writes(self) -> bool:
        """Whether this process may record."""
        return self._lock is not None

    def close(self) -> None:
        """Let others write."""
        if self._lock is not None:
            release(self._lock)
            self._lock = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[Any]:
        """Yield a connection that reads."""
        with self._open(read_only=True) as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Any]:
        """Yield a connection in a transaction: committed, or undone if the block raises."""
        with self._open(read_only=False) as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def _open(self, *, read_only: bool) -> Iterator[Any]:
        with _ONE_AT_A_TIME:
            _check(self.path)
            try:
                connection = self._connected(read_only)
                with contextlib.closing(connection):
                    self._check_format(connection)
                    yield connection
            except self.duckdb.Error as error:
                raise InputError(
                    f"{self.path}: the ledger cannot be used: {_first_line(error)}"
                ) from error

    def _connected(self, read_only: bool) -> Any:
        """Return a connection; wait while another process has the file open."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return self.duckdb.connect(str(self.path), read_only=read_only, config=SETTINGS)
            except self.duckdb.IOException as error:
                if "Could not set lock" not in str(error):
                    raise
                if time.monotonic() > end:
                    holder = re.search(r"PID (\d+)", str(error))
                    who = f"process {holder[1]}" if holder else "another process"
                    raise InputError(
                        f"{self.path}: is in use by {who}; try again when it is done"
                    ) from error
            time.sleep(0.02)

    def _check_format(self, connection: Any) -> None:
        """Refuse a database that is no ledger, or one of another version."""
        try:
            query = "SELECT format, columns, version FROM main.ledger"
            found = connection.execute(query).fetchall()
        except self.duckdb.ProgrammingError:
            found = []
        if len(found) != 1 or found[0][0] != FORMAT:
            raise InputError(f"{self.path}: is no ledger of crossmargin; give another file")
        if found[0][1] != _columns_hash():
            raise InputError(
                f"{self.path}: is a ledger of crossmargin {found[0][2]}, with other columns than "
                "this version's; read it with that one, and record to a new file"
            )

    def _clean(self) -> None:
        """Remove what a process left that was killed while it made the file."""
        recover(self.path)
        # DuckDB's own file beside the one in the making. Nobody else makes it: we hold the lock.
        pattern = re.compile(rf"\.{re.escape(self.path.name)}\.[0-9a-f]{{8}}\.partial\.wal")
        for name in filter(pattern.fullmatch, os.listdir(self.path.parent)):
            with contextlib.suppress(OSError):
                self.path.with_name(name).unlink()

    def _create(self) -> None:
        """Make an empty ledger, whole or not at all."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with (
                replacing(self.path) as fresh,
                contextlib.closing(self.duckdb.connect(str(fresh), config=SETTINGS)) as made,
            ):
                made.execute("BEGIN")
                for statement in _tables():
                    made.execute(statement)
                made.execute("CREATE TABLE ledger (format TEXT, columns TEXT, version TEXT)")
                about = [FORMAT, _columns_hash(), __version__]
                made.execute("INSERT INTO ledger VALUES (?, ?, ?)", about)
                made.execute("COMMIT")
        except (OSError, self.duckdb.Error) as error:
            raise InputError(f"{self.path}: a ledger cannot be made there: {error}") from error


def to_arrow(connection: Any, query: str, parameters: list[Any] | None = None) -> pa.Table:
    """Return the rows that a query gives."""
    table: pa.Table = connection.sql(query, params=parameters or []).to_arrow_table()
    return table


def _tables() -> Iterator[str]:
    """Yield what makes the tables of records."""
    yield f"CREATE TABLE steps ({', '.join(f'{name} {kind}' for name, kind in STEPS.items())})"
    for name, schema in KEPT.items():
        columns = (f'"{column.name}" {SQL_TYPE[column.type]}' for column in schema.columns)
        yield f"CREATE TABLE {name} (record BIGINT, {', '.join(columns)})"


def _columns_hash() -> str:
    """Return a hash of all tables' columns and their types."""
    return hashlib.sha256("\n".join(_tables()).encode()).hexdigest()


def _duckdb() -> Any:
    """Return the module; InputError if it is not installed."""
    try:
        return import_module("duckdb")
    except ModuleNotFoundError as error:
        if error.name != "duckdb":
            raise
        raise InputError(
            "the ledger needs duckdb; install it with pip install 'crossmargin[ledger]'"
        ) from None


def _claim(path: Path) -> int:
    """Return the handle of the lock that keeps other writers out."""
    place = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{place}: cannot be written: {error}") from error
    return claim(place, str(path))


def _check(path: Path) -> None:
    """Refuse a file that DuckDB did not write, before DuckDB sees it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise InputError(f"{path}: is no regular file; give another")
            head = os.read(handle, 12)
        finally:
            os.close(handle)
    except FileNotFoundError:
        raise InputError(f"{path}: no such ledger") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be opened: {error}") from error
    if head[8:] != b"DUCK":
        raise InputError(f"{path}: is no ledger of crossmargin; give another file")


def _first_line(error: Exception) -> str:
    """Return what an error of DuckDB says, without its advice and traces."""
    return str(error).partition("\n")[0][:300]
