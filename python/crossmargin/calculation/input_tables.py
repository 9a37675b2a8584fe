"""What a run reads, once for every market: tables and files, typed and checked by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Dates
from crossmargin.book.accounts import read_accounts
from crossmargin.book.names import open_contract
from crossmargin.book.plausible import note_repeats, note_side
from crossmargin.book.positions import settled_to
from crossmargin.book.schemas import (
    ACCOUNTS,
    FIRMS,
    OBSERVED_MARGINS,
    POSITIONS,
    SECURITIES,
    SETTLEMENTS,
    VOLUMES,
    Schema,
)
from crossmargin.book.securities import AcceptedSecurities, accept_securities
from crossmargin.book.trades import different_numbers
from crossmargin.conventions import CME, FICC
from crossmargin.exceptions import ExceptionLog, FileRows, InputError
from crossmargin.files import absolute
from crossmargin.io.column_map import ColumnsSource, read_column_map
from crossmargin.io.cubes import read_cube
from crossmargin.io.parse import Parsed, describe_file, describe_input, parse
from crossmargin.io.several import file_names, joined, refuse_two_times
from crossmargin.io.sources import read_source
from crossmargin.io.span_pa2 import read_span_pa2
from crossmargin.io.tables import Given, Source, Stamp, read_table
from crossmargin.margin.ccps import clearing_houses
from crossmargin.margin.cme.span_file import SpanFile
from crossmargin.margin.model import OwnCube
from crossmargin.market import Market
from crossmargin.policies import Policy


@dataclass(frozen=True, kw_only=True)
class BookInputs:
    """What a user gives for a run besides the market, not yet read.

    Attributes
    ----------
    policy : Policy
        Its clearing houses say what is cleared where.
    positions, accounts, securities, firms, ficc_cube, cme_cube, span_file, settlements,
    volumes, observed_margins, columns, cycle, max_rejected, allow_empty
        As in `crossmargin.run`.
    """

    positions: Source | Sequence[Source]
    accounts: Source
    securities: Source
    policy: Policy
    firms: Source | None = None
    ficc_cube: Source | None = None
    cme_cube: Source | None = None
    span_file: str | Path | None = None
    settlements: Source | None = None
    volumes: Source | None = None
    observed_margins: Source | None = None
    columns: ColumnsSource | None = None
    cycle: str = "EOD"
    max_rejected: int | None = None
    allow_empty: bool = False


@dataclass(frozen=True, kw_only=True)
class Inputs(BookInputs):
    """What a user gives for a run, not yet read: all this, and `market`."""

    market: Market


@dataclass(frozen=True)
class InputTables:
    """What was read, before a market says what of it counts.

    Attributes
    ----------
    policy, cycle, max_rejected, allow_empty
        As in `BookInputs`.
    clears : dict of str to tuple of str
        Kinds of positions that each clearing house of the policy clears.
    accounts : pyarrow.Table
        Accepted rows, typed.
    securities : AcceptedSecurities
    positions : pyarrow.Table
        Typed, not yet checked: what is open depends on the day. Of several files one after the
        other.
    files : tuple of FileRows
        Those files, if there are several.
    stamps : dict of str to Stamp
        When a report of positions is of, by what exceptions call its file.
    firms, settlements, volumes, observed_margins : pyarrow.Table, optional
        Typed, as they were given.
    cubes : dict of str to OwnCube
        The user's own P&L, by clearing house.
    span_file : SpanFile, optional
    source : dict of str to dict
        What the manifest says of each table and file.
    exceptions, oddities : pyarrow.Table
        What was set aside while reading, and notes that come after those on the trades.
    """

    policy: Policy
    clears: dict[str, tuple[str, ...]]
    cycle: str
    max_rejected: int | None
    allow_empty: bool
    accounts: pa.Table
    securities: AcceptedSecurities
    positions: pa.Table
    files: tuple[FileRows, ...]
    stamps: dict[str, Stamp]
    firms: pa.Table | None
    settlements: pa.Table | None
    volumes: pa.Table | None
    observed_margins: pa.Table | None
    cubes: dict[str, OwnCube]
    span_file: SpanFile | None
    source: dict[str, dict[str, Any]]
    exceptions: pa.Table
    oddities: pa.Table

    @cached_property
    def has_repo_rates(self) -> bool:
        """Whether any row gives a positive repo rate."""
        return bool(np.any(columns.numbers(self.positions["repo_rate"]) > 0.0))

    def same_open(self, one: np.datetime64, other: np.datetime64) -> bool:
        """Tell whether the same rows have a position on two days, with the same open legs.

        That is so if no leg settles and no security matures between them, and each future's name
        means the same contract: nothing else in `book.positions.read_trades` asks for the day.

        Parameters
        ----------
        one, other : datetime64[D]
        """
        settles, matures = self._days
        settled = [settled_to(day, self.cycle) for day in (one, other)]
        return (
            bool(np.ptp(np.searchsorted(settles, settled, side="right")) == 0)
            and bool(np.ptp(np.searchsorted(matures, [one, other], side="right")) == 0)
            and all(open_contract(n, one) == open_contract(n, other) for n in self._futures)
        )

    @cached_property
    def _days(self) -> tuple[Dates, Dates]:
        """The days on which legs settle, and those on which securities mature; ascending."""
        names = ("settle_date", "start_date", "end_date")
        settles = np.unique(np.concatenate([columns.dates(self.positions[n]) for n in names]))
        return settles[~np.isnat(settles)], np.unique(self.securities.securities.maturity_date)

    @cached_property
    def _futures(self) -> list[str]:
        """The names of the futures, as the rows have them."""
        future = pc.equal(self.positions["kind"], columns.scalar("future"))
        number, names = columns.encoded(self.positions["instrument"].filter(future))
        return [str(names[at]) for at in different_numbers(number).tolist()]


def read_tables(inputs: BookInputs) -> InputTables:
    """Return the tables and files of a run.

    Parameters
    ----------
    inputs : BookInputs

    Returns
    -------
    InputTables

    Raises
    ------
    InputError
        One cannot be read; the message names it and what to do.
    """
    # First, so that a mistake in the policy is reported before anything is read.
    clears = {house.ccp: house.clears for house in clearing_houses(inputs.policy)}
    log = ExceptionLog()
    read = _Reader(log, inputs.columns)
    accounts = read_accounts(read.table(inputs.accounts, ACCOUNTS), file=ACCOUNTS.name, log=log)
    firms = read.optional(inputs.firms, FIRMS)
    securities = accept_securities(
        read.table(inputs.securities, SECURITIES), file=SECURITIES.name, log=log
    )
    settlements = read.optional(inputs.settlements, SETTLEMENTS)
    volumes = read.optional(inputs.volumes, VOLUMES)
    observed = read.optional(inputs.observed_margins, OBSERVED_MARGINS)
    positions, files, stamps, odd = read.positions(inputs.positions)
    cubes = {
        FICC: read.cube(inputs.ficc_cube, "ficc_cube"),
        CME: read.cube(inputs.cme_cube, "cme_cube"),
    }
    span_file = read.span_file(inputs.span_file)
    return InputTables(
        policy=inputs.policy,
        clears=clears,
        cycle=inputs.cycle,
        max_rejected=inputs.max_rejected,
        allow_empty=inputs.allow_empty,
        accounts=accounts,
        securities=securities,
        positions=positions,
        files=files,
        stamps=stamps,
        firms=firms,
        settlements=settlements,
        volumes=volumes,
        observed_margins=observed,
        cubes={ccp: cube for ccp, cube in cubes.items() if cube is not None},
        span_file=span_file,
        source=read.source,
        exceptions=log.table(),
        oddities=odd.table(),
    )


class _Reader:
    """Reads input tables, and keeps what the manifest records about them."""

    def __init__(self, log: ExceptionLog, column_map: ColumnsSource | None) -> None:
        self.source: dict[str, dict[str, Any]] = {}
        self._log = log
        self._column_map = None if column_map is None else read_column_map(column_map)
        if self._column_map is not None:
            self.source["columns"] = describe_file(self._column_map.path, self._column_map.hash)

    def table(self, source: Source, schema: Schema) -> pa.Table:
        given, parsed = self._parsed(source, schema, schema.name)
        self.source[schema.name] = describe_input(given, parsed)
        return parsed.table

    def positions(
        self, source: Source | Sequence[Source]
    ) -> tuple[pa.Table, tuple[FileRows, ...], dict[str, Stamp], ExceptionLog]:
        """Return the positions, their files if there are several, their stamps, and what is odd."""
        name = POSITIONS.name
        sources = list(source) if isinstance(source, list | tuple) else [source]
        if not sources:
            raise InputError(f"{name}: no file is given; give at least one")
        several = len(sources) > 1
        called = file_names(name, sources) if several else [name]
        read = [
            self._parsed(one, POSITIONS, file, several=several)
            for one, file in zip(sources, called, strict=True)
        ]
        files: tuple[FileRows, ...] = ()
        if len(sources) == 1:
            ((given, parsed),) = read
            table, self.source[name] = parsed.table, describe_input(given, parsed)
        else:
            given_tables, parsed_tables = zip(*read, strict=True)
            refuse_two_times(given_tables, parsed_tables, called)
            table, files, self.source[name] = joined(given_tables, parsed_tables, called, name)
        odd = ExceptionLog(files)
        note_repeats(table, POSITIONS, odd)
        for file, (_, parsed) in zip(called, read, strict=True):
            note_side(parsed.table, parsed.extra_columns, file, odd)
            if files and not parsed.rows_read:
                odd.add("READ_AS", file=file, message="the file has no row")
        stamps = {file: one.stamp for file, (one, _) in zip(called, read, strict=True) if one.stamp}
        return table, files, stamps, odd

    def _parsed(
        self, source: Source, schema: Schema, file: str, *, several: bool = False
    ) -> tuple[Given, Parsed]:
        given = read_source(
            source, name=schema.name, column_map=self._column_map, one_of_several=several
        )
        for text in given.notes:
            self._log.add("READ_AS", file=file, message=text)
        return given, parse(given.table, schema, file=file, log=self._log, point=given.point)

    def optional(self, source: Source | None, schema: Schema) -> pa.Table | None:
        return None if source is None else self.table(source, schema)

    def cube(self, source: Source | None, name: str) -> OwnCube | None:
        if source is None:
            return None
        given = read_table(source, name=name)
        for text in given.notes:
            self._log.add("READ_AS", file=name, message=text)
        self.source[name] = {
            **describe_file(given.path, given.hash),
            "rows_read": len(given.table),
        }
        return OwnCube(name, *read_cube(given.table, name=name, point=given.point))

    def span_file(self, path: str | Path | None) -> SpanFile | None:
        if path is None:
            return None
        file = read_span_pa2(path)
        self.source["span_file"] = {
            **describe_file(absolute(path), file.hash),
            "business_date": str(file.business_date),
            "not_decoded": file.not_decoded,
        }
        return file
