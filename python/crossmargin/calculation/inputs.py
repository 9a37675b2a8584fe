"""First stage: every input is read and checked before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.book.accounts import read_accounts
from crossmargin.book.observed_margins import ObservedMargin, read_observed_margins
from crossmargin.book.plausible import note_repeats, note_same_inputs, note_side, refuse_empty
from crossmargin.book.positions import read_trades
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
from crossmargin.book.securities import read_securities
from crossmargin.book.settlements import read_settlements
from crossmargin.book.trades import Trades
from crossmargin.book.volumes import read_volumes
from crossmargin.calculation.policy_market import check_groups, policy_market
from crossmargin.conventions import CME, FICC
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.files import absolute
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.settlement_basis import settlement_basis
from crossmargin.instruments.short_rates import RATE_INDEX, missing_fixings
from crossmargin.io.column_map import ColumnsSource, read_column_map
from crossmargin.io.cubes import read_cube
from crossmargin.io.parse import describe_file, describe_input, parse
from crossmargin.io.sources import read_source
from crossmargin.io.span_pa2 import read_span_pa2
from crossmargin.io.tables import Source, read_table
from crossmargin.margin.ccps import clearing_houses
from crossmargin.margin.cme.span_file import SpanFile
from crossmargin.margin.model import OwnCube
from crossmargin.market import Market
from crossmargin.policies import Policy


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a user gives for a run, not yet read.

    Attributes
    ----------
    policy : Policy
        Its clearing houses say what is cleared where.
    positions, accounts, securities, market, firms, ficc_cube, cme_cube, span_file, settlements,
    volumes, observed_margins, columns, cycle, max_rejected, allow_empty
        As in `crossmargin.run`.
    """

    positions: Source
    accounts: Source
    securities: Source
    market: Market
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


@dataclass(frozen=True)
class ParsedInputs:
    """What was read from the inputs, typed and checked.

    Attributes
    ----------
    accounts, firms : pyarrow.Table
        Accepted rows, typed; `firms` is None where no such file was given.
    securities : Securities
    trades : Trades
    market : Market
        With the basis from settlement prices, if they were given, and the policy's own factors.
    cycle : str
    volumes, open_interest : dict of str to float
        Average daily volume, and contracts open, by contract or root.
    observed_margins : tuple of ObservedMargin
        Those in force on the as-of date.
    cubes : dict of str to OwnCube
        The user's own P&L, by clearing house.
    span_file : SpanFile, optional
    source : dict of str to dict
        What the manifest says of each table and file; the market has its own.
    exceptions : pyarrow.Table
        What was set aside while reading, and notes; see `market_notes` for those on the market.
    """

    accounts: pa.Table
    firms: pa.Table | None
    securities: Securities
    trades: Trades
    market: Market
    cycle: str
    volumes: dict[str, float]
    open_interest: dict[str, float]
    observed_margins: tuple[ObservedMargin, ...]
    cubes: dict[str, OwnCube]
    span_file: SpanFile | None
    source: dict[str, dict[str, Any]]
    exceptions: pa.Table


def read_inputs(inputs: Inputs) -> ParsedInputs:
    """Return all inputs of a run, read and checked.

    Parameters
    ----------
    inputs : Inputs

    Returns
    -------
    ParsedInputs

    Raises
    ------
    InputError
        An input cannot be used, or more rows are rejected than allowed.
    """
    log, market = ExceptionLog(), inputs.market
    clears = {house.ccp: house.clears for house in clearing_houses(inputs.policy)}
    read = _Reader(log, inputs.columns)
    accounts = read_accounts(read.table(inputs.accounts, ACCOUNTS), file=ACCOUNTS.name, log=log)
    firms = None if inputs.firms is None else read.table(inputs.firms, FIRMS)
    securities = read_securities(
        read.table(inputs.securities, SECURITIES),
        curve=market.curve,
        file=SECURITIES.name,
        log=log,
    )
    if inputs.settlements is not None:
        settlements = read.table(inputs.settlements, SETTLEMENTS)
        market = _with_settlements(market, settlements, securities, log)
    market = policy_market(inputs.policy, market)
    check_groups(market)
    adv: dict[str, float] = {}
    open_interest: dict[str, float] = {}
    if inputs.volumes is not None:
        adv, open_interest = read_volumes(read.table(inputs.volumes, VOLUMES), as_of=market.as_of)
    observed: tuple[ObservedMargin, ...] = ()
    if inputs.observed_margins is not None:
        table = read.table(inputs.observed_margins, OBSERVED_MARGINS)
        observed = read_observed_margins(table, as_of=market.as_of, log=log)
    positions = read.table(inputs.positions, POSITIONS)
    trades = read_trades(
        positions,
        accounts=accounts,
        securities=securities,
        as_of=market.as_of,
        short_rate_pct=100.0 * float(market.history.zero_rate[-1, 0]),
        cycle=inputs.cycle,
        file=POSITIONS.name,
        log=log,
        clears=clears,
    )
    cubes = {
        FICC: read.cube(inputs.ficc_cube, "ficc_cube"),
        CME: read.cube(inputs.cme_cube, "cme_cube"),
    }
    parsed = ParsedInputs(
        accounts=accounts,
        firms=firms,
        securities=securities,
        trades=trades,
        market=market,
        cycle=inputs.cycle,
        volumes=adv,
        open_interest=open_interest,
        observed_margins=observed,
        cubes={ccp: cube for ccp, cube in cubes.items() if cube is not None},
        span_file=read.span_file(inputs.span_file),
        source=read.source,
        exceptions=ExceptionLog().table(),  # Until the last one is logged.
    )
    _check_rejected(log, inputs.max_rejected)
    if not inputs.allow_empty:
        _refuse_empty(parsed, _has_securities(positions), log)
    _note_oddities(parsed, positions, log)
    return replace(parsed, exceptions=log.table())


def _refuse_empty(parsed: ParsedInputs, has_securities: bool, log: ExceptionLog) -> None:
    """Refuse inputs without a usable row; a book of futures needs no securities."""
    used = {
        ACCOUNTS.name: len(parsed.accounts),
        FIRMS.name: None if parsed.firms is None else len(parsed.firms),
        SECURITIES.name: parsed.securities.cusip.size if has_securities else None,
        VOLUMES.name: len(parsed.volumes) if VOLUMES.name in parsed.source else None,
        OBSERVED_MARGINS.name: (
            len(parsed.observed_margins) if OBSERVED_MARGINS.name in parsed.source else None
        ),
        POSITIONS.name: parsed.trades.row.size,
    }
    for name, count in used.items():
        if count == 0:
            refuse_empty(name, parsed.source[name]["rows_read"], log)


def _note_oddities(parsed: ParsedInputs, positions: pa.Table, log: ExceptionLog) -> None:
    """Log what looks unintended in usable inputs."""
    note_repeats(positions, POSITIONS, log)
    extra = parsed.source[POSITIONS.name]["extra_columns"]
    note_side(positions, extra, POSITIONS.name, log)
    source = {**parsed.source, **parsed.market.source}
    note_same_inputs({name: entry["hash"] for name, entry in source.items()}, log)


class _Reader:
    """Reads input tables, and keeps what the manifest records about them."""

    def __init__(self, log: ExceptionLog, column_map: ColumnsSource | None) -> None:
        self.source: dict[str, dict[str, Any]] = {}
        self._log = log
        self._column_map = None if column_map is None else read_column_map(column_map)
        if self._column_map is not None:
            self.source["columns"] = describe_file(self._column_map.path, self._column_map.hash)

    def table(self, source: Source, schema: Schema) -> pa.Table:
        given = read_source(source, name=schema.name, column_map=self._column_map)
        for text in given.notes:
            self._log.add("READ_AS", file=schema.name, message=text)
        parsed = parse(given.table, schema, file=schema.name, log=self._log, point=given.point)
        self.source[schema.name] = describe_input(given, parsed)
        return parsed.table

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


def _with_settlements(
    market: Market, settlements: pa.Table, securities: Securities, log: ExceptionLog
) -> Market:
    """Return the market with the basis that settlement prices of futures imply."""
    given = columns.dates(settlements["date"]) <= market.as_of
    if not (given & columns.is_known(settlements["price"])).any():
        raise InputError(
            f"{SETTLEMENTS.name}: has no price dated {market.as_of} or earlier; give some, or "
            "leave it out"
        )
    try:
        prices = read_settlements(settlements, as_of=market.as_of)
        basis, notes = settlement_basis(prices, market=market, securities=securities)
    except ValueError as error:
        raise InputError(f"{SETTLEMENTS.name}, {error}") from error
    for note in notes:
        log.add("READ_AS", file=SETTLEMENTS.name, message=note)
    twice = sorted(basis.keys() & market.history.basis.keys())
    if twice:
        raise InputError(
            f"{SETTLEMENTS.name}: {', '.join(twice)} has a basis history too; give only one"
        )
    basis = dict(sorted({**market.history.basis, **basis}.items()))
    return replace(market, history=replace(market.history, basis=basis))


def market_notes(market: Market, contracts: tuple[Contract, ...]) -> pa.Table:
    """Return what is to be said of a market's files, and what it lacks on the as-of date.

    Parameters
    ----------
    market : Market
    contracts : tuple of Contract
        Those of the trades: they need fixings.

    Returns
    -------
    pyarrow.Table
        Exceptions.
    """
    log = ExceptionLog()
    for note in market.notes:
        log.add(note.code, file=note.file, message=note.message)
    curves = {"par_yields": market.history.date}
    if market.history.sofr is not None:
        curves["sofr"] = market.history.sofr.date
    for file, date in curves.items():
        if date[-1] != market.as_of:
            log.add(
                "CURVE_EARLIER",
                file=file,
                message=f"no complete row on {market.as_of}: the curve is that of {date[-1]}",
            )
    for contract in contracts:
        lacks = missing_fixings(contract, market)
        if lacks.size:
            index = RATE_INDEX[contract.root]
            given = market.fixings_to(index)
            log.add(
                "FIXINGS_MISSING",
                file="fixings",
                instrument=contract.symbol,
                message=f"{contract.symbol}: {index} of {lacks.size} days from {lacks[0]} to "
                f"{lacks[-1]} is not given (the last one given: {given or 'none'}); the curve's "
                "overnight rate is used instead",
            )
    return log.table()


def _has_securities(positions: pa.Table) -> bool:
    """Return whether any position is in a security."""
    return bool(columns.flags(pc.not_equal(positions["kind"], columns.scalar("future"))).any())


def _check_rejected(log: ExceptionLog, most: int | None) -> None:
    """Refuse an input with more rejected rows than the user allows."""
    if most is None:
        return
    rows = rejected_rows(log.table())
    if len(rows) > most:
        first = rows.slice(0, 1).to_pylist()[0]
        raise InputError(
            f"{len(rows)} rows rejected, {most} allowed; the first: {first['file']}, row "
            f"{first['row']}: {first['message']}"
        )


def rejected_rows(exceptions: pa.Table) -> pa.Table:
    """Return the exceptions of rows set aside, each once for every account that it names."""
    table = exceptions.filter(pc.equal(exceptions["severity"], columns.scalar("rejected")))
    numbers = [columns.encoded(table[name])[0] for name in ("file", "row", "account")]
    _, first = np.unique(np.column_stack(numbers), axis=0, return_index=True)
    return table.take(columns.column(np.sort(first)))
