"""Read trades from the rows of the positions table; rows that cannot be margined are listed.

The checks run over whole columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Dates, Float, Integer, Mask
from crossmargin.book.names import find_accounts, other_firms, resolve_contracts, resolve_securities
from crossmargin.book.rows import Names, Rows
from crossmargin.book.schemas import POSITION_KINDS
from crossmargin.book.trades import (
    CASH,
    FUTURE,
    LARGEST_CONTRACTS,
    LARGEST_FACE,
    LOT,
    NEAR,
    REPO,
    REVERSE,
    Trades,
)
from crossmargin.conventions import CLEARS, CYCLES
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.identifiers import resolved_message
from crossmargin.instruments.securities import Securities
from crossmargin.market.calendars import DAY, add_business_days
from crossmargin.market.rates import DECIMAL_UNDER, far_below

HANDFUL = 5
"""Most repo rates that may look like decimals before the whole file is refused."""


def read_trades(
    positions: pa.Table,
    *,
    accounts: pa.Table,
    securities: Securities,
    as_of: np.datetime64,
    short_rate_pct: float,
    cycle: str,
    file: str,
    log: ExceptionLog,
    clears: Mapping[str, Sequence[str]] = CLEARS,
) -> Trades:
    """Return the trades of a positions table, with their accounts and instruments resolved.

    Parameters
    ----------
    positions, accounts : pyarrow.Table
        Typed, as `io.parse` returns them.
    securities : Securities
        Sorted by CUSIP.
    as_of : datetime64[D]
        The margin date.
    short_rate_pct : float
        The market's short rate, percent; repo rates far below it are noted.
    cycle : str
        In `ITD` legs dated before `as_of` are settled; in other cycles also those dated `as_of`.
    file : str
        Name of the positions table in exceptions.
    log : ExceptionLog
        Takes rejected rows and notes; knows the files, if the rows are of several.
    clears : mapping of str to sequence of str
        Kinds of positions that each clearing house of the policy clears.

    Returns
    -------
    Trades

    Raises
    ------
    InputError
        The cycle is unknown, or most repo rates look like decimals.
    """
    if cycle not in CYCLES:
        raise InputError(f"cycle: {cycle!r} is not one of {', '.join(CYCLES)}")
    settled = settled_to(as_of, cycle)
    given = _given(positions)
    name = Names(positions["account"])
    rows = Rows(positions["row"], Names(positions["instrument"]), name, file=file, log=log)
    account = find_accounts(rows, name, accounts["account"])
    named = _find_instruments(rows, given, securities, as_of)
    ccps = tuple(ccp for ccp in clears if ccp not in CLEARS)
    ccp = _find_ccps(rows, given, positions["ccp"], clears, ccps)
    lots = _check_quantities(rows, given)
    _check_dates(rows, given, named)
    _check_settled(rows, given, settled)
    _check_interest(rows, given)
    _check_repo_rates(rows, given, short_rate_pct)
    _check_start_cash(rows, given, named)
    _note_ends(rows, given, settled, as_of)
    keep = np.flatnonzero(rows.ok)
    firm, firms = other_firms(positions["clearing_firm"], accounts["clearing_firm"], keep, account)
    firm[columns.flags(positions["given_up"])[keep]] = -1
    return Trades(
        row=rows.row[keep],
        account=account[keep],
        firm=firm,
        kind=given.kind[keep],
        instrument=rows.instrument.take(keep),
        security=named.security[keep],
        contract=named.contract[keep],
        lots=lots[keep].astype(np.int64),
        xm=columns.flags(positions["xm"])[keep],
        start_open=_start_open(given, settled)[keep],
        end_open=given.repo[keep],
        start_date=given.start[keep],
        end_date=given.end[keep],
        settle_date=given.settle[keep],
        failed=given.failed[keep],
        repo_rate=given.rate[keep],
        start_cash=given.start_cash[keep],
        contracts=named.contracts,
        firms=tuple(firms),
        ccp=ccp[keep],
        ccps=ccps,
        files=log.files,
    )


def settled_to(as_of: np.datetime64, cycle: str) -> np.datetime64:
    """Return the last day whose legs are settled."""
    return as_of - DAY if cycle == "ITD" else as_of


@dataclass(frozen=True)
class _Given:
    """Cells of the rows, [N]: `rate` is a decimal; `repo` is true for a reverse too."""

    kind: Integer
    future: Mask
    repo: Mask
    quantity: Float
    settle: Dates
    start: Dates
    end: Dates
    failed: Mask
    rate: Float
    start_cash: Float

    def kind_name(self, i: int) -> str:
        return POSITION_KINDS[self.kind[i]]


@dataclass(frozen=True)
class _Named:
    """Instruments of the rows, [N]: indices, -1 where the row has no such instrument.

    For a security also its maturity (NaT for others) and whether a model prices it.
    """

    security: Integer
    contract: Integer
    contracts: tuple[Contract, ...]
    matures: Dates
    no_model: Mask


def _given(positions: pa.Table) -> _Given:
    kind = Names(positions["kind"]).index_in(columns.text_column(POSITION_KINDS))
    settle, start, end = (
        columns.dates(positions[name]) for name in ("settle_date", "start_date", "end_date")
    )
    return _Given(
        kind=kind,
        future=kind == FUTURE,
        repo=(kind == REPO) | (kind == REVERSE),
        quantity=columns.numbers(positions["quantity"]),
        settle=settle,
        start=start,
        end=end,
        failed=columns.flags(positions["failed"]),
        rate=columns.numbers(positions["repo_rate"]) / 100.0,
        start_cash=columns.numbers(positions["start_cash"]),
    )


def _find_instruments(
    rows: Rows, given: _Given, securities: Securities, as_of: np.datetime64
) -> _Named:
    """Return the instruments that the rows name; reject unknown, matured and expired ones."""
    resolved: dict[str, str] = {}
    security = resolve_securities(rows, ~given.future, securities, as_of, resolved)
    # Index -1, for rows without a security, takes the last element.
    matures = np.append(securities.maturity_date, np.datetime64("NaT", "D"))[security]
    rows.reject(
        matures <= as_of,
        "SECURITY_MATURED",
        lambda i: f"{rows.instrument[i]} matured on {matures[i]}",
    )
    contract, contracts = resolve_contracts(rows, given.future, as_of, resolved)
    if resolved:
        rows.note_file("NAME_RESOLVED", resolved_message(resolved))
    no_model = np.append(~securities.nominal, False)[security]
    return _Named(security, contract, contracts, matures, no_model)


def _find_ccps(
    rows: Rows,
    given: _Given,
    named: pa.ChunkedArray,
    clears: Mapping[str, Sequence[str]],
    ccps: Sequence[str],
) -> Integer:
    """Return the index in `ccps` of each row's clearing house, -1 for FICC and CME, [N].

    Reject rows whose clearing house does not clear them.
    """
    number, different = columns.encoded(named)
    # A blank cell has index -1: the last element here.
    ccp = [*(text.upper() for text in columns.texts(different)), None]
    cleared = np.array(
        [[name is None or kind in clears.get(name, ()) for kind in POSITION_KINDS] for name in ccp]
    )
    cleared_by = "; ".join(f"{name} clears {', '.join(kinds)}" for name, kinds in clears.items())
    rows.reject(
        ~cleared[number, given.kind],
        "CCP_UNKNOWN",
        lambda i: f"ccp {ccp[number[i]]!r} does not clear {given.kind_name(i)}; {cleared_by}",
    )
    return np.array([ccps.index(name) if name in ccps else -1 for name in ccp])[number]


def _check_quantities(rows: Rows, given: _Given) -> Float:
    """Return the quantities in lots; reject those too large, negative or not whole."""
    quantity, future = given.quantity, given.future
    largest = np.where(future, LARGEST_CONTRACTS, LARGEST_FACE)
    rows.reject(
        np.abs(quantity) > largest,
        "QUANTITY_INVALID",
        lambda i: f"quantity {quantity[i]:g} is larger than {largest[i]:g}; check the units",
    )
    rows.reject(
        given.repo & (quantity <= 0),
        "QUANTITY_INVALID",
        lambda i: (
            f"quantity {quantity[i]:g} of a {given.kind_name(i)} must be positive; "
            "repo or reverse tells the side"
        ),
    )
    lot = np.where(future, 1, LOT)
    lots = np.rint(quantity / lot)
    rows.reject(
        lots * lot != quantity,
        "QUANTITY_NOT_WHOLE_LOT",
        lambda i: (
            f"quantity {quantity[i].item()!r} is not a whole number of "
            + ("contracts" if future[i] else f"lots of {LOT} USD face")
        ),
    )
    return np.asarray(lots)


def _check_dates(rows: Rows, given: _Given, named: _Named) -> None:
    """Reject repos whose dates are missing or impossible."""
    repo, start, end, matures = given.repo, given.start, given.end, named.matures
    rows.reject(
        repo & (np.isnat(start) | np.isnat(end)),
        "DATE_INVALID",
        lambda i: f"a {given.kind_name(i)} needs start_date and end_date",
    )
    rows.reject(
        repo & (end <= start),
        "DATE_INVALID",
        lambda i: f"end_date {end[i]} is not after start_date {start[i]}",
    )
    rows.reject(
        repo & (end > matures),
        "DATE_INVALID",
        lambda i: f"end_date {end[i]} is after {rows.instrument[i]} matures on {matures[i]}",
    )


def _check_settled(rows: Rows, given: _Given, settled_to: np.datetime64) -> None:
    """Reject trades that have settled; those that failed stay."""
    settle, end = given.settle, given.end
    rows.reject(
        (given.kind == CASH) & (settle <= settled_to) & ~given.failed,
        "SETTLED",
        lambda i: f"settled on {settle[i]}, so the clearing house holds no position; drop the row",
    )
    rows.reject(
        given.repo & (end <= settled_to) & ~given.failed,
        "SETTLED",
        lambda i: (
            f"the repo ended on {end[i]}, so the clearing house holds no position; drop the row"
        ),
    )


def _check_interest(rows: Rows, given: _Given) -> None:
    """Reject repos without a rate, or with a rate whose interest is at least the cash."""
    start, end, rate = given.start, given.end, given.rate
    rows.reject(
        given.repo & np.isnan(rate),
        "VALUE_INVALID",
        lambda i: f"a {given.kind_name(i)} needs repo_rate, in percent",
    )
    interest = rate * (end - start).astype(np.int64) / 360.0
    rows.reject(
        given.repo & (np.abs(interest) >= 1.0),
        "VALUE_INVALID",
        lambda i: (
            f"at repo_rate {100.0 * rate[i]:g} the interest from {start[i]} to {end[i]} is as much "
            "as the cash; check the rate (percent) and the dates"
        ),
    )


def _check_start_cash(rows: Rows, given: _Given, named: _Named) -> None:
    rows.reject(
        given.repo & named.no_model & np.isnan(given.start_cash),
        "VALUE_INVALID",
        lambda i: f"no model prices {rows.instrument[i]}; give start_cash",
    )


def _start_open(given: _Given, settled_to: np.datetime64) -> Mask:
    """Return a mask of the repos whose first leg is open, because it is due later or failed."""
    failed = given.failed & (given.end > settled_to)
    return np.asarray(given.repo & ((given.start > settled_to) | failed))


def _check_repo_rates(rows: Rows, given: _Given, short_rate_pct: float) -> None:
    """Note repo rates that look like decimals; refuse a file in which all do.

    Rates of zero or less do not show the unit.
    """
    rate_pct = 100.0 * given.rate
    stated = np.flatnonzero(rows.ok & given.repo & (rate_pct > 0.0))
    low = far_below(rate_pct[stated], short_rate_pct)
    if stated.size > HANDFUL and low.all():
        raise InputError(
            f"{rows.where(stated[0])}: every repo_rate of the file is below "
            f"{DECIMAL_UNDER:g} while the market's short rate is {short_rate_pct:.2f}%; they look "
            "like decimals: give percent"
        )
    at = stated[low]
    rows.note(
        at,
        "RATE_SUSPICIOUS",
        [
            f"repo_rate {rate:.10g} looks like a decimal while the market's short rate is "
            f"{short_rate_pct:.2f}%; give percent, unless the repo is special"
            for rate in rate_pct[at].tolist()
        ],
    )


def _note_ends(rows: Rows, given: _Given, settled_to: np.datetime64, as_of: np.datetime64) -> None:
    """Note the repos that end soon."""
    soon = add_business_days(as_of, NEAR, "bond")
    # Most repos of a book end soon, so make one text for each day, not for each row.
    days = settled_to + np.arange(1, int((soon - settled_to).astype(np.int64)) + 1)
    ends = [
        f"ends on {day}; unless it is renewed its securities leave the margin account"
        for day in days
    ]
    end = given.end
    at = np.flatnonzero(rows.ok & given.repo & (end > settled_to) & (end <= soon))
    rows.note(at, "REPO_ENDS", columns.chosen(ends, (end[at] - days[0]).astype(np.int64)))
