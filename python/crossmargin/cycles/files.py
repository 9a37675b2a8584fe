"""The files of a cycle: positions by CUSIP, futures-equivalents, savings.

They are laid out as the exchange lays out its reports XMFICCCUSIP, XMFICCPOSN and
XMFICCMARGINSAVINGS. All are tables for `io.results.csv_bytes`: an unknown figure is an empty cell.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin import columns, exact
from crossmargin.agreement import rule
from crossmargin.agreement.requirement import Amount
from crossmargin.arrays import Dates, Float, Integer, Mask, Text
from crossmargin.book.trades import LOT
from crossmargin.calculation.result import GIVEN_RATES, RunResult, Stages, stages_of
from crossmargin.conventions import CASH, CME, COMBINED, FICC_XM, FUTURES, PORTFOLIOS, SEGMENTS
from crossmargin.instruments.universe import TREASURY
from crossmargin.margin.cme.model import PreparedHvar, PreparedSpan
from crossmargin.margin.portfolios import CcpMargin, row_of
from crossmargin.results.schemas.cycle import CUSIP_REPORT, POSITION_REPORT, SAVINGS_REPORT
from crossmargin.results.table import money

LOWER, TABLE, GIVEN = range(3)
SOURCES = ("LOWER", "TABLE", "GIVEN")
"""Where an offset rate comes from, by number."""


def cusip_report(run: RunResult, run_number: int = 1) -> pa.Table:
    """Return the cross-margined positions at FICC by CUSIP, as XMFICCCUSIP.

    Parameters
    ----------
    run : RunResult
        With its stages.
    run_number : int
        The run of the cycle, from 1.

    Returns
    -------
    pyarrow.Table
        As in `results.schemas.cycle.CUSIP_REPORT`: a row for each account and CUSIP whose open
        legs do not add up to zero.

    Raises
    ------
    ValueError
        The run has no stages, or `run_number` is not positive.
    """
    stages = stages_of(run, given_rates=True)
    account, security, lots = _cash(stages)
    held = stages.parsed.securities.take(stages.parsed.trades.held)
    return CUSIP_REPORT.table(
        {
            **_head(stages, account, run_number),
            "CUSIP": columns.chosen(stages.models.universe.name, security),
            # A coupon of 4.125% is read as 0.04125, and a product with 100 may not be 4.125 again.
            "Coupon": columns.column(np.round(held.coupon[security] * 100.0, 9)),
            "MaturityDate": columns.chosen(_us_dates(held.maturity_date), security),
            "Position": columns.column(lots * LOT),
        }
    )


def position_report(run: RunResult, run_number: int = 1) -> pa.Table:
    """Return the same positions as futures-equivalents in CME's model, as XMFICCPOSN.

    Parameters
    ----------
    run, run_number
        As for `cusip_report`.

    Returns
    -------
    pyarrow.Table
        As in `results.schemas.cycle.POSITION_REPORT`, row by row those of `cusip_report`.

    Raises
    ------
    ValueError
        As for `cusip_report`.
    """
    stages = stages_of(run, given_rates=True)
    account, security, lots = _cash(stages)
    universe = stages.models.universe
    contract, ratio = _stand_ins(stages)
    # The contracts are the universe's last instruments.
    first = universe.name.size - len(stages.netted.contracts)
    months = [str(one.month).replace("-", "") for one in stages.netted.contracts]
    number = contract[security]
    known = number >= 0
    return POSITION_REPORT.table(
        {
            **_head(stages, account, run_number),
            "CUSIP": columns.chosen(universe.name, security),
            "Product": columns.chosen(universe.root, number),
            "ContractMonth": columns.chosen(months, np.where(known, number - first, -1)),
            "Position": columns.column(lots * ratio[security], known),
        }
    )


def savings_report(run: RunResult, run_number: int = 1) -> pa.Table:
    """Return both models' margin and the savings, as XMFICCMARGINSAVINGS.

    Parameters
    ----------
    run, run_number
        As for `cusip_report`. The run's offset rates may have been given.

    Returns
    -------
    pyarrow.Table
        As in `results.schemas.cycle.SAVINGS_REPORT`: a row for each account with anything
        cross-margined. What is applied, and what is due, follows from the row alone.

    Raises
    ------
    ValueError
        As for `cusip_report`.
    """
    stages = stages_of(run, given_rates=True)
    ficc, cme, required = stages.margins.ficc, stages.margins.cme, stages.requirements
    saving, rules = stages.agreement.saving, stages.models.policy.agreement
    cash, futures = (
        stages.margins.occupied[margin.ccp][:, portfolio]
        for margin, portfolio in ((ficc, CASH), (cme, FUTURES))
    )
    account = np.flatnonzero((cash | futures)[: saving.offset_rate.size])
    rate = saving.offset_rate[account]
    source, offered, known = _offered(stages, account, given=GIVEN_RATES in run.manifest)

    def whole(share: float) -> pa.Array:
        return columns.column(np.full(account.size, 100.0 * share))

    def percent(of: Float, exists: Mask) -> pa.Array:
        return columns.column(100.0 * of[account], exists[account])

    return SAVINGS_REPORT.table(
        {
            **_head(stages, account, run_number),
            **_margins(ficc, account),
            "FICCSavingPct": percent(saving.offset_rate_ficc, saving.known_ficc),
            **_margins(cme, account),
            "CMESavingPct": percent(saving.offset_rate_cme, saving.known_cme),
            "Source": columns.chosen(SOURCES, source),
            "OfferedPct": columns.column(100.0 * offered, known),
            "CapPct": whole(rules.cap),
            "MinimumPct": whole(rules.minimum_saving),
            "AppliedPct": columns.column(100.0 * rate),
            "Binding": columns.text_column([text or None for text in saving.binding[account]]),
            "Reason": columns.text_column([text or None for text in saving.reason[account]]),
            **_due(ficc, CASH, required.requirement_ficc, account, rate),
            **_due(cme, FUTURES, required.requirement_cme, account, rate),
        }
    )


def _head(stages: Stages, account: Integer, run_number: int) -> dict[str, Any]:
    """Return the first columns of every file."""
    if isinstance(run_number, bool) or not isinstance(run_number, int) or run_number < 1:
        raise ValueError(f"run_number: a whole number from 1 on expected, got {run_number!r:.40}")
    day = _us_dates(np.array([stages.models.market.as_of]))[0]
    names = columns.plain(stages.parsed.accounts["account"])
    return {
        "BusDate": columns.repeated(columns.scalar(day), account.size),
        "Cycle": columns.repeated(columns.scalar(stages.parsed.cycle), account.size),
        "Run": columns.column(np.full(account.size, run_number)),
        "Account": names.take(columns.column(account)),
    }


def _us_dates(day: Dates) -> Text:
    """Return dates as mm/dd/yyyy."""
    parts = (text.split("-") for text in day.astype("datetime64[D]").astype(str).tolist())
    found = [f"{month}/{date}/{year}" for year, month, date in parts]
    return np.array(found, dtype=object)


def _cash(stages: Stages) -> tuple[Integer, Integer, Integer]:
    """Return account, security and lots of the cross-margined cash, without forward cash legs."""
    book, universe = stages.netted.book, stages.models.universe
    row = row_of(book)
    at = (row % len(SEGMENTS) == FICC_XM) & (universe.kind == TREASURY)[book.column]
    group = row[at] // len(SEGMENTS)
    account = stages.classified.assignment.group_account[group]
    return account, book.column[at].astype(np.int64), book.quantity[at].astype(np.int64)


def _stand_ins(stages: Stages) -> tuple[Integer, Float]:
    """Return the contract for each Treasury, and contracts a lot, as CME's model takes them.

    The contract is -1 where the model has none.
    """
    universe, model = stages.models.universe, stages.models.ccps[CME]
    treasury = np.flatnonzero(universe.kind == TREASURY)
    if isinstance(model, PreparedSpan):
        # The model by scan ranges rounds each delta.
        found, ratio = model.equivalents, model.model.delta[treasury]
        priced = model.model.priced[treasury]
    elif isinstance(model, PreparedHvar) and model.equivalents is not None:
        found, ratio = model.equivalents, model.equivalents.ratio
        priced = found.priced[treasury]
    else:
        return np.full(treasury.size, -1), np.zeros(treasury.size)
    return np.where(priced, found.contract, -1), ratio


def _offered(stages: Stages, account: Integer, *, given: bool) -> tuple[Integer, Float, Mask]:
    """Return where each rate comes from, what was offered before any condition, and where known."""
    saving, offsets = stages.agreement.saving, stages.agreement.offsets
    rules = stages.models.policy.agreement
    rate, capped = saving.offset_rate[account], saving.capped[account]
    source = np.full(account.size, LOWER if offsets is None else TABLE)
    if offsets is None:
        offered = np.minimum(saving.offset_rate_ficc, saving.offset_rate_cme)[account]
        known = (saving.known_ficc & saving.known_cme)[account]
    else:
        reduction = np.zeros(saving.offset_rate.size)
        np.add.at(reduction, offsets.group, offsets.amount)
        ficc, cme = (margin.v[account].T for margin in (stages.margins.ficc, stages.margins.cme))
        offered, known, _ = rule.by_reduction(ficc, cme, reduction[account])
        # A sum of parts may differ from the reduction by a bit.
        offered = np.where((rate > 0.0) & ~capped, rate, offered)
    known &= ~rule.unpriced(*(margin.unknown[account].T for margin in _both(stages)))
    if given:
        standard = np.isin(saving.reason[account], rule.REASONS)
        follows = standard & ((rate == 0.0) | (rate == np.minimum(offered, rules.cap)))
        source[~follows] = GIVEN
        known &= follows
    return source, offered, known


def _both(stages: Stages) -> tuple[CcpMargin, CcpMargin]:
    return stages.margins.ficc, stages.margins.cme


def _margins(margin: CcpMargin, account: Integer) -> dict[str, pa.Array]:
    """Return the columns of one model's margin."""
    return {
        f"{margin.ccp}{PORTFOLIOS[portfolio].capitalize()}": money(
            exact.cents(np.where(margin.unknown, 0.0, margin.v)[account, portfolio]),
            ~margin.unknown[account, portfolio],
        )
        for portfolio in (CASH, FUTURES, COMBINED)
    }


def _due(
    margin: CcpMargin, portfolio: int, required: Amount, account: Integer, rate: Float
) -> dict[str, pa.Array]:
    """Return the columns of charges, requirement and saving at one clearing house."""
    v, unknown = margin.v[account, portfolio], margin.unknown[account, portfolio]
    cents, known = required.cents[account], required.known[account]
    return {
        f"{margin.ccp}Charges": money(cents - rule.due(rule.reduced(v, rate), unknown), known),
        f"{margin.ccp}Requirement": money(cents, known),
        f"{margin.ccp}Saving": money(rule.due(rate * v, unknown), ~unknown),
    }
