"""First stage: every input is read and checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.book.observed_margins import ObservedMargin, read_observed_margins
from crossmargin.book.plausible import note_same_inputs, refuse_empty
from crossmargin.book.positions import read_trades
from crossmargin.book.schemas import (
    ACCOUNTS,
    FIRMS,
    OBSERVED_MARGINS,
    POSITIONS,
    SECURITIES,
    SETTLEMENTS,
    VOLUMES,
)
from crossmargin.book.settlements import read_settlements
from crossmargin.book.trades import Trades
from crossmargin.book.volumes import read_volumes
from crossmargin.calculation.input_tables import Inputs, InputTables, read_tables
from crossmargin.calculation.policy_market import check_groups, policy_market
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.settlement_basis import settlement_basis
from crossmargin.instruments.short_rates import RATE_INDEX, missing_fixings
from crossmargin.margin.cme.span_file import SpanFile
from crossmargin.margin.model import OwnCube
from crossmargin.market import Market
from crossmargin.market.history import History
from crossmargin.market.rates import far_below


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
    return inputs_on(read_tables(inputs), inputs.market)


def inputs_on(
    tables: InputTables,
    market: Market,
    earlier: History | None = None,
    baskets: BasketStore | None = None,
) -> ParsedInputs:
    """Return the inputs of a run on a market, from tables that have been read.

    Parameters
    ----------
    tables : InputTables
    market : Market
        Of any day.
    earlier : History, optional
        As for `policy_market`.
    baskets : BasketStore, optional
        Keeps the schedules of bonds for the next call.

    Returns
    -------
    ParsedInputs

    Raises
    ------
    InputError
        An input cannot be used on that day, or more rows are rejected than allowed.
    """
    log = ExceptionLog(tables.files)
    log.extend(tables.exceptions)
    securities, market = _market_of_run(tables, market, earlier, baskets, log)
    adv, open_interest, observed = _of_contracts(tables, market.as_of, log)
    trades = read_trades(
        tables.positions,
        accounts=tables.accounts,
        securities=securities,
        as_of=market.as_of,
        short_rate_pct=_short_rate_pct(market),
        cycle=tables.cycle,
        file=POSITIONS.name,
        log=log,
        clears=tables.clears,
    )
    parsed = ParsedInputs(
        accounts=tables.accounts,
        firms=tables.firms,
        securities=securities,
        trades=trades,
        market=market,
        cycle=tables.cycle,
        volumes=adv,
        open_interest=open_interest,
        observed_margins=observed,
        cubes=tables.cubes,
        span_file=tables.span_file,
        source=tables.source,
        exceptions=ExceptionLog().table(),  # Until the last one is logged.
    )
    _check_rejected(log, tables.max_rejected)
    if not tables.allow_empty:
        _refuse_empty(parsed, _has_securities(tables.positions), log)
    log.extend(tables.oddities)
    source = {**parsed.source, **parsed.market.source}
    note_same_inputs(_hashes(source), log)
    _note_days(tables, market.as_of, log)
    return replace(parsed, exceptions=log.table())


def _note_days(tables: InputTables, as_of: np.datetime64, log: ExceptionLog) -> None:
    """Note the reports of positions that say they are of another day."""
    for file, stamp in tables.stamps.items():
        if stamp.business_date not in ("", str(as_of)):
            log.add(
                "POSITIONS_OF_OTHER_DAY",
                file=file,
                message=f"the report is of {stamp}, the run as of {as_of}; check which is meant",
            )


def _hashes(source: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the hash of each input, and of each file of the positions."""
    hashes = {name: entry["hash"] for name, entry in source.items()}
    positions = source[POSITIONS.name]
    return hashes | dict(zip(positions.get("names", ()), positions.get("files", ()), strict=True))


def moved_inputs(
    tables: InputTables, parsed: ParsedInputs, market: Market, baskets: BasketStore
) -> ParsedInputs | None:
    """Return the inputs on another market, their rows not checked again.

    Parameters
    ----------
    tables : InputTables
    parsed : ParsedInputs
        From `inputs_on` these tables.
    market : Market
    baskets : BasketStore
        Keeps the schedules of bonds for the next call.

    Returns
    -------
    ParsedInputs, optional
        As `inputs_on` returns them, with the exceptions of `parsed`: notes may differ, rejected
        rows do not. None where other rows may be rejected or other legs be open, so that the rows
        have to be checked again.

    Raises
    ------
    InputError
        As `inputs_on`.
    """
    same_day = market.as_of == parsed.market.as_of
    if not same_day and not tables.same_open(market.as_of, parsed.market.as_of):
        return None
    log = ExceptionLog()
    securities, market = _market_of_run(tables, market, parsed.market.history, baskets, log)
    if not np.array_equal(securities.cusip, parsed.securities.cusip):
        return None
    highest = 100.0 * parsed.trades.repo_rate[parsed.trades.end_open].max(initial=0.0)
    if far_below(highest, _short_rate_pct(market)) and tables.has_repo_rates:
        return None  # A file of decimals is refused, by rates that may not be in the trades.
    moved = replace(parsed, market=market)
    if same_day:
        return moved
    adv, open_interest, observed = _of_contracts(tables, market.as_of, log)
    emptied = (tables.volumes is not None and not adv) or (
        tables.observed_margins is not None and not observed
    )
    if tables.max_rejected is not None or (emptied and not tables.allow_empty):
        return None  # The input may be refused.
    return replace(moved, volumes=adv, open_interest=open_interest, observed_margins=observed)


def _market_of_run(
    tables: InputTables,
    market: Market,
    earlier: History | None,
    baskets: BasketStore | None,
    log: ExceptionLog,
) -> tuple[Securities, Market]:
    """Return the securities whose price can be met, and the market as the policy sees it.

    It has the basis from settlement prices, and the factors that the policy derives.
    """
    securities = tables.securities.on_curve(market.curve, log, baskets)
    if tables.settlements is not None:
        market = _with_settlements(market, tables.settlements, securities, log)
    market = policy_market(tables.policy, market, earlier)
    check_groups(market)
    return securities, market


def _of_contracts(
    tables: InputTables, as_of: np.datetime64, log: ExceptionLog
) -> tuple[dict[str, float], dict[str, float], tuple[ObservedMargin, ...]]:
    """Return average daily volumes, open interest and the observed margins in force."""
    adv: dict[str, float] = {}
    open_interest: dict[str, float] = {}
    if tables.volumes is not None:
        adv, open_interest = read_volumes(tables.volumes, as_of=as_of)
    observed: tuple[ObservedMargin, ...] = ()
    if tables.observed_margins is not None:
        observed = read_observed_margins(tables.observed_margins, as_of=as_of, log=log)
    return adv, open_interest, observed


def _short_rate_pct(market: Market) -> float:
    return 100.0 * float(market.history.zero_rate[-1, 0])


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
