"""The ledger: what was margined and called in each step of each day, only ever added to.

A record is a step of a cycle with the tables that it made. It is written whole or not at all, holds
the hash of the record before it, and is never changed: what a later cycle or run finds is a record
of its own. Needs DuckDB, the extra `ledger`.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.conventions import CYCLES, EOD, EODXM
from crossmargin.cycles.ledger_file import CENTS, STEPS, LedgerFile, to_arrow
from crossmargin.cycles.step import Step, as_day, as_json, hash_of
from crossmargin.exceptions import InputError
from crossmargin.io.hashes import table_hash
from crossmargin.results.schema import NUMBER, Schema
from crossmargin.results.schemas.ledger import (
    ADJUSTMENTS,
    CHANGED,
    FIGURES,
    KEPT,
    LAST_GOOD,
    LEDGER_BOOKINGS,
    LEDGER_CALLS,
    LEDGER_SAVINGS,
    LEDGER_STEPS,
    LEDGER_TRANSFERS,
)
from crossmargin.results.table import MONEY, Table

ONCE = ("calls", "savings")
"""Tables with one row for an account."""
Names = str | Sequence[str] | None


class Ledger:
    """A ledger in a file.

    Parameters
    ----------
    path : str or Path
        The DuckDB file.
    write : bool
        Whether to record: the file is made if there is none, and nobody else may record until
        `close`, or the end of the process. Reading keeps nobody out.

    Raises
    ------
    InputError
        The file is missing, no ledger, damaged, or written by another process; or duckdb is not
        installed.

    Examples
    --------
    >>> with Ledger("ledger.duckdb", write=True) as ledger:  # doctest: +SKIP
    ...     ledger.record(step, {"calls": calls})
    """

    def __init__(self, path: str | Path, *, write: bool = False) -> None:
        self._file = LedgerFile(path, write=write)

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self._file.path

    def __enter__(self) -> Ledger:
        """Return the ledger itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let others record."""
        self._file.close()

    def record(self, step: Step, tables: Mapping[str, Any] | None = None) -> bool:
        """Add a step with its tables, whole or not at all.

        Parameters
        ----------
        step : Step
        tables : dict of str to table, optional
            Any of `calls`, `savings`, `transfers` and `bookings`, as Arrow tables or as tables of
            results. Columns that the ledger does not keep are left out.

        Returns
        -------
        bool
            False if the very same step is recorded already, which changes nothing.

        Raises
        ------
        InputError
            The step is recorded already with something else.
        ValueError
            The ledger was opened to read; or a table lacks a column, has one of another type, a
            NaN, or an account twice.
        """
        if not self._file.writes:
            raise ValueError(f"{self.path}: was opened to read; give write=True to record")
        kept = {name: kept_table(name, table) for name, table in (tables or {}).items()}
        content = _content(step, kept)
        with self._file.writing() as connection:
            before = self._steps_of(connection)
            for there in before:
                if _key(there) == (step.day, step.cycle, step.run, step.step):
                    self._check_same(step, there, content)
                    return False
            row = _row(step, content, before, "calls" in kept)
            cells = [row[name] for name in STEPS]
            connection.execute(f"INSERT INTO steps VALUES ({', '.join('?' * len(cells))})", cells)
            for name, table in kept.items():
                number = columns.column(np.full(len(table), row["record"]))
                _insert(connection, name, table.add_column(0, "record", number))
        return True

    def _check_same(self, step: Step, there: Mapping[str, Any], content: Mapping[str, Any]) -> None:
        """Refuse to record a step again with something else."""
        other = [name for name, value in content.items() if there[name] != value]
        if other:
            raise InputError(
                f"{self.path}: {step.name}, is recorded already with other "
                f"{', '.join(name.replace('_', ' ') for name in other)}; record it as a later run"
            )

    def steps(self, *, day: Any = None, cycle: Names = None) -> Table:
        """Return the records of steps, in the order of days, cycles and runs.

        Parameters
        ----------
        day : date_like or pair of date_like, optional
            The day, or the first and the last.
        cycle : str or sequence of str, optional
        """
        with self._file.reading() as connection:
            rows = _chosen(self._steps_of(connection), day, cycle)
        return Table(_as_table(LEDGER_STEPS, rows))

    def calls(
        self, *, day: Any = None, cycle: Names = None, account: Names = None, customer: Names = None
    ) -> Table:
        """Return what was called, a row per record and account.

        A row of `EODXM` says which record of `EOD` it adjusts, and by how much.

        Parameters
        ----------
        day, cycle
            As in `steps`.
        account, customer : str or sequence of str, optional
            One or more names.
        """
        return self._rows("calls", LEDGER_CALLS, day, cycle, account=account, customer=customer)

    def savings(
        self, *, day: Any = None, cycle: Names = None, account: Names = None, customer: Names = None
    ) -> Table:
        """Return offset rates, requirements and savings, a row per record and account.

        Parameters
        ----------
        day, cycle, account, customer
            As in `calls`.
        """
        return self._rows("savings", LEDGER_SAVINGS, day, cycle, account=account, customer=customer)

    def transfers(self, *, day: Any = None, cycle: Names = None, account: Names = None) -> Table:
        """Return the futures that were chosen to be moved.

        Parameters
        ----------
        day, cycle, account
            As in `calls`.
        """
        return self._rows("transfers", LEDGER_TRANSFERS, day, cycle, account=account)

    def bookings(self, *, day: Any = None, cycle: Names = None, account: Names = None) -> Table:
        """Return what was booked for the transfers, two rows for each.

        Parameters
        ----------
        day, cycle, account
            As in `calls`.
        """
        return self._rows("bookings", LEDGER_BOOKINGS, day, cycle, account=account)

    def recorded(self, name: str, *, day: Any, cycle: str, run: int) -> pa.Table:
        """Return a table as a run of a cycle recorded it.

        Parameters
        ----------
        name : str
            `calls`, `savings`, `transfers` or `bookings`.
        day : date_like
        cycle : str
        run : int

        Raises
        ------
        InputError
            It is not recorded, or not as it was recorded.
        """
        with self._file.reading() as connection:
            for row in _chosen(self._steps_of(connection), day, cycle):
                said = json.loads(row["tables"]).get(name)
                if row["run"] == run and said is not None:
                    table = _checked_table(connection, name, row["record"], said, self.path)
                    kinds = KEPT[name].columns
                    cells = {c.name: _as_type(table[c.name], c.type) for c in kinds}
                    return KEPT[name].table(cells)
        raise InputError(f"{self.path}: has no {name} of {as_day(day)} {cycle} run {run}")

    def adjustments(
        self, *, day: Any = None, account: Names = None, customer: Names = None
    ) -> Table:
        """Return how each `EODXM` changed the calls of its `EOD`, a row per figure that differs.

        Parameters
        ----------
        day, account, customer
            As in `calls`.
        """
        with self._file.reading() as connection:
            steps = [
                row for row in _chosen(self._steps_of(connection), day, EODXM) if row["adjusts"]
            ]
            table = _differences(connection, [row["record"] for row in steps], account, customer)
        return _with_steps(ADJUSTMENTS, table, steps)

    def last_good(self, *, before: tuple[Any, ...]) -> Table:
        """Return the last offset rate that both clearing houses gave, a row per account.

        Parameters
        ----------
        before : (day, cycle) or (day, cycle, run)
            Only earlier records count.

        Notes
        -----
        A record with a clearing house that was late does not count, nor does a rate that is zero
        because the account was incomplete.
        """
        limit = (as_day(before[0]), CYCLES.index(_cycle(before[1])), *before[2:])
        with self._file.reading() as connection:
            steps = [
                row
                for row in _chosen(self._steps_of(connection), None, None)
                if place_of(row)[: len(limit)] < limit and not row["late"]
            ]
            table = _last_rates(connection, [row["record"] for row in steps])
        place = {row["record"]: row for row in steps}
        of_step = [place[record] for record in columns.integers(table["record"]).tolist()]
        for name in ("day", "cycle", "run"):
            kind = LAST_GOOD[name].type
            table = table.append_column(name, columns.cells([row[name] for row in of_step], kind))
        return Table(LAST_GOOD.table({name: table[name] for name in table.column_names}))

    def verify(self) -> str:
        """Check every table against the hash in its record, and every record against its own.

        Returns
        -------
        str
            The hash of the last record, empty if there is none. Kept elsewhere, it also shows
            whether records were cut off at the end.

        Raises
        ------
        InputError
            Something is not as it was recorded.
        """
        with self._file.reading() as connection:
            steps = self._steps_of(connection)
            for name in KEPT:
                _verify_table(connection, name, steps, self.path)
        return steps[-1]["hash"] if steps else ""

    def _steps_of(self, connection: Any) -> list[dict[str, Any]]:
        """Return all records of steps in the order of recording; refuse any that was changed."""
        table = to_arrow(connection, f"SELECT {', '.join(STEPS)} FROM steps ORDER BY record")
        rows: list[dict[str, Any]] = table.to_pylist()
        last = ""
        for number, row in enumerate(rows, start=1):
            sound = (row["record"], row["hash_before"]) == (number, last)
            if not sound or row["hash"] != record_hash(row):
                raise InputError(f"{self.path}: record {number} is not as it was recorded")
            last = row["hash"]
        return rows

    def _rows(self, name: str, schema: Schema, day: Any, cycle: Names, **wanted: Names) -> Table:
        """Return rows of a kept table with what their steps say."""
        with self._file.reading() as connection:
            steps = _chosen(self._steps_of(connection), day, cycle)
            table = _selected(connection, name, [row["record"] for row in steps], wanted)
            if name == "calls":
                some = any(names is not None for names in wanted.values())
                table = _with_changes(connection, table, steps, some)
        return _with_steps(schema, table, steps)


def _with_steps(schema: Schema, table: pa.Table, steps: Sequence[Mapping[str, Any]]) -> Table:
    """Return rows in the order of their steps, with what the steps say in the other columns."""
    place = {row["record"]: at for at, row in enumerate(steps)}
    at = np.array([place[record] for record in columns.integers(table["record"]).tolist()], int)
    # Rows lie in the order of recording. Days and cycles may have been recorded in another.
    if (np.diff(at) < 0).any():
        order = np.argsort(at, kind="stable")
        table, at = table.take(columns.column(order)), at[order]
    of_step = _as_table(LEDGER_STEPS, steps)
    cells = {}
    for column in schema.columns:
        if column.name in table.column_names:
            cells[column.name] = _as_type(table[column.name], column.type)
        else:
            cells[column.name] = of_step[column.name].take(columns.column(at))
    return Table(schema.table(cells))


def _as_type(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column of the file in the type of results."""
    if kind != MONEY or column.type.scale != MONEY.scale:
        return column.cast(kind)
    # The same 128 bits: Arrow's cast would look at each.
    pieces = [
        pa.Array.from_buffers(MONEY, len(piece), piece.buffers(), offset=piece.offset)
        for piece in column.chunks
    ]
    return pa.chunked_array(pieces, MONEY)


def kept_table(name: str, table: Any) -> pa.Table:
    """Return the columns of a table that the ledger keeps, in the types that it keeps.

    Raises
    ------
    ValueError
        There is no such table in a ledger, or it lacks a column or has one of another type, a null
        where there may be none, a NaN, or an account twice.
    """
    if name not in KEPT:
        raise ValueError(f"tables: one of {', '.join(KEPT)} expected, got {name!r}")
    table = table.to_arrow() if isinstance(table, Table) else table
    if not isinstance(table, pa.Table):
        raise TypeError(f"{name}: an Arrow table expected, got {table!r:.60}")
    lacking = [c.name for c in KEPT[name].columns if c.name not in table.column_names]
    if lacking:
        raise ValueError(f"{name}: lacks {', '.join(lacking)}")
    cells = {
        column.name: _kept_column(f"{name}.{column.name}", column.type, table[column.name])
        for column in KEPT[name].columns
    }
    for column in KEPT[name].columns:
        if cells[column.name].null_count and not column.null:
            raise ValueError(f"{name}.{column.name}: a value is missing")
    if name in ONCE and len(pc.unique(cells["account"])) < len(table):
        raise ValueError(f"{name}: an account has more than one row")
    return pa.table(cells)


def _kept_column(label: str, kind: pa.DataType, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in the type that the ledger keeps, exactly."""
    column = columns.plain(column)
    given = column.type
    alike = given == kind or pa.types.is_null(given)
    alike |= pa.types.is_decimal(given) if kind == MONEY else False
    alike |= pa.types.is_large_string(given) and pa.types.is_string(kind)
    if not alike:
        raise ValueError(f"{label}: {kind} expected, got {given}")
    if kind == NUMBER and pc.any(pc.is_nan(column)).as_py():
        raise ValueError(f"{label}: holds NaN; unknown is null")
    try:
        return column.cast(CENTS if kind == MONEY else kind)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{label}: {error}") from error


def _content(step: Step, kept: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Return what a record says of a step, as the ledger has it, without when and after what."""
    tables = {name: {"hash": table_hash(t), "rows": len(t)} for name, t in kept.items()}
    return {
        "policy": step.policy,
        "policy_hash": step.policy_hash,
        "inputs": as_json(dict(step.inputs)),
        "outputs": as_json(dict(step.outputs)),
        "tables": as_json(tables),
        "late": ",".join(step.late) or None,
        "fallback": step.fallback,
        "version": step.version,
        "run_id": step.run_id,
    }


def _row(
    step: Step, content: Mapping[str, Any], before: Sequence[Mapping[str, Any]], calls: bool
) -> dict[str, Any]:
    """Return the row of a new record, after those before it."""
    row = {
        "record": len(before) + 1,
        "day": step.day,
        "cycle": step.cycle,
        "run": step.run,
        "step": step.step,
        "recorded_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        **content,
        "adjusts": _adjusted(step, before) if calls else None,
        "hash_before": before[-1]["hash"] if before else "",
    }
    return {**row, "hash": record_hash(row)}


def record_hash(row: Mapping[str, Any]) -> str:
    """Return the hash of a record: of all its columns but the hash itself."""
    said = {name: row[name] for name in STEPS if name != "hash"}
    return hash_of(as_json({**said, "day": str(row["day"])}))


def _adjusted(step: Step, before: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the record of the day's last run of EOD, if the step is one of EODXM."""
    if step.cycle != EODXM:
        return None
    made = [
        (row["run"], row["record"])
        for row in before
        if (row["day"], row["cycle"]) == (step.day, EOD) and "calls" in json.loads(row["tables"])
    ]
    return max(made)[1] if made else None


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["day"], row["cycle"], row["run"], row["step"]


def _chosen(steps: list[dict[str, Any]], day: Any, cycle: Names) -> list[dict[str, Any]]:
    """Return the records of some days and cycles, in the order of days, cycles and runs."""
    first, last = _days(day)
    cycles = CYCLES if cycle is None else [_cycle(name) for name in _names(cycle)]
    rows = [row for row in steps if first <= row["day"] <= last and row["cycle"] in cycles]
    return sorted(rows, key=place_of)


def _cycle(name: str) -> str:
    if name not in CYCLES:
        raise ValueError(f"cycle: one of {', '.join(CYCLES)} expected, got {name!r:.60}")
    return name


def place_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return where a record stands among the days, their cycles and runs."""
    return row["day"], CYCLES.index(row["cycle"]), row["run"], row["record"]


def _days(day: Any) -> tuple[datetime.date, datetime.date]:
    if day is None:
        return datetime.date.min, datetime.date.max
    if isinstance(day, tuple | list):
        first, last = day
        return as_day(first), as_day(last)
    return as_day(day), as_day(day)


def _names(name: str | Sequence[str]) -> list[str]:
    return [name] if isinstance(name, str) else list(name)


def _selected(
    connection: Any, name: str, records: list[int], wanted: Mapping[str, Names]
) -> pa.Table:
    """Return rows of a kept table in the order of recording, and what they adjust."""
    where = ["t.record BETWEEN ? AND ?", "list_contains(?, t.record)"]
    given: list[Any] = [min(records, default=0), max(records, default=-1), records]
    for column, names in wanted.items():
        if names is not None:
            where.append(f"list_contains(?, t.{column})")
            given.append(_names(names))
    query = f"SELECT t.*, t.rowid AS place FROM {name} t WHERE {' AND '.join(where)}"
    table = to_arrow(connection, query, given)
    place = columns.integers(table["place"])
    if (np.diff(place) < 0).any():
        table = table.take(columns.column(np.argsort(place)))
    return table.drop_columns(["place"])


def _with_changes(
    connection: Any, calls: pa.Table, steps: Sequence[Mapping[str, Any]], some: bool
) -> pa.Table:
    """Return calls with the records that they adjust, and by how much.

    Parameters
    ----------
    connection
    calls : pyarrow.Table
    steps : sequence of dict
        Of these calls.
    some : bool
        Whether they are those of some accounts only.
    """
    adjusts = {row["record"]: row["adjusts"] for row in steps if row["adjusts"] is not None}
    where = ["list_contains(?, record)"]
    given: list[Any] = [[*adjusts.values()]]
    if some:
        where.append("list_contains(?, account)")
        given.append(pc.unique(calls["account"]).to_pylist())
    names = ", ".join(("record", "account", *CHANGED))
    query = f"SELECT {names} FROM calls WHERE {' AND '.join(where)}"
    before = to_arrow(connection, query, given)
    record, record_before = (columns.integers(table["record"]) for table in (calls, before))
    account, account_before = (columns.one_array(table["account"]) for table in (calls, before))
    at = np.full(len(calls), -1)
    for number, adjusted in adjusts.items():
        rows, there = np.flatnonzero(record == number), np.flatnonzero(record_before == adjusted)
        found = columns.integers(
            pc.index_in(
                account.take(columns.column(rows)), account_before.take(columns.column(there))
            )
        )
        at[rows[found >= 0]] = there[found[found >= 0]]
    before = before.take(columns.column(at, at >= 0))
    calls = calls.append_column("adjusts", before["record"])
    for name in CHANGED:
        calls = calls.append_column(f"{name}_change", pc.subtract(calls[name], before[name]))
    return calls


def _differences(connection: Any, records: list[int], account: Names, customer: Names) -> pa.Table:
    """Return the figures of calls that differ from those of the records they adjust."""
    listed, before, after = (
        ", ".join(form.format(name) for name in FIGURES) for form in ("'{}'", "b.{}", "a.{}")
    )
    where = ["before IS DISTINCT FROM after"]
    given: list[Any] = [records]
    for column, names in (("account", account), ("customer", customer)):
        if names is not None:
            where.append(f"list_contains(?, {column})")
            given.append(_names(names))
    query = f"""
        WITH
          pairs AS (SELECT record, adjusts FROM steps WHERE list_contains(?, record)),
          b AS (SELECT p.record AS at, c.* FROM pairs p JOIN calls c ON c.record = p.adjusts),
          a AS (SELECT p.record AS at, c.* FROM pairs p JOIN calls c ON c.record = p.record),
          found AS (
            SELECT coalesce(a.at, b.at) AS record, coalesce(a.account, b.account) AS account,
              CASE WHEN a.at IS NULL THEN b.customer ELSE a.customer END AS customer,
              unnest([{listed}]) AS figure, unnest([{before}]) AS before, unnest([{after}]) AS after
            FROM a FULL JOIN b ON a.at = b.at AND a.account = b.account
          )
        SELECT record, account, customer, figure, before, after, after - before AS change
        FROM found WHERE {" AND ".join(where)}
        ORDER BY record, account, list_position([{listed}], figure)
        """
    return to_arrow(connection, query, given)


def _last_rates(connection: Any, records: list[int]) -> pa.Table:
    """Return each account's last good offset rate in records that are given in their order."""
    query = """
        SELECT account, offset_rate, offset_rate_ficc, offset_rate_cme, record FROM savings
        WHERE list_contains(?, record)
          AND offset_rate_ficc IS NOT NULL AND offset_rate_cme IS NOT NULL
          AND reason IS DISTINCT FROM 'INCOMPLETE'
        QUALIFY row_number() OVER (
          PARTITION BY account ORDER BY list_position(?, record) DESC
        ) = 1
        ORDER BY account
        """
    return to_arrow(connection, query, [records, records])


def _verify_table(
    connection: Any, name: str, steps: Sequence[Mapping[str, Any]], path: Path
) -> None:
    """Refuse a kept table that is not as its records say."""
    described = {row["record"]: json.loads(row["tables"]).get(name) for row in steps}
    counted = connection.execute(f"SELECT record, count(*) FROM {name} GROUP BY record").fetchall()
    strange = [record for record, _ in counted if not described.get(record)]
    if strange:
        raise InputError(f"{path}: {name} has rows that no record knows")
    for record, said in described.items():
        if said is not None:
            _checked_table(connection, name, record, said, path)


def _checked_table(
    connection: Any, name: str, record: int, said: Mapping[str, Any], path: Path
) -> pa.Table:
    """Return a kept table of a record; refuse one that is not as the record says."""
    query = f"SELECT * EXCLUDE (record) FROM {name} WHERE record = ? ORDER BY rowid"
    table = to_arrow(connection, query, [record])
    if said != {"hash": table_hash(table), "rows": len(table)}:
        raise InputError(f"{path}: {name} of record {record} are not as recorded")
    return table


def _insert(connection: Any, name: str, table: pa.Table) -> None:
    """Add rows to a table of the file; the columns are in its order."""
    connection.register("given", table)
    connection.execute(f"INSERT INTO {name} SELECT * FROM given")
    connection.unregister("given")


def _as_table(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return records of steps as a table, with the hash of all their inputs."""
    full = [{**row, "inputs_hash": hash_of(row["inputs"])} for row in rows]
    cells = {
        column.name: columns.cells([row[column.name] for row in full], column.type)
        for column in schema.columns
    }
    return schema.table(cells)
