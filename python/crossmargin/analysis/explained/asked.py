"""One account of a run: its positions line by line, its margin, and what it has to pay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin import columns
from crossmargin.agreement.requirement import Requirements
from crossmargin.arrays import Float, Integer, Text
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.margins import (
    AccountMargins,
    Agreement,
    agree_offsets,
    margin_accounts,
    require_accounts,
)
from crossmargin.calculation.result import Stages
from crossmargin.conventions import SEGMENTS
from crossmargin.engine import Execution
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.instruments.universe import FORWARD_CASH, FUTURE, TREASURY
from crossmargin.margin.portfolios import row_of
from crossmargin.market.curve import years_between

CASH_LEG, FUTURES_LEG = "cash", "futures"


@dataclass(frozen=True)
class AccountLines:
    """The lines of an account: by group, segment and instrument, then further clearing houses.

    Attributes
    ----------
    group : ndarray of int64, [N]
        0 is the account at its own firm; the others are its positions at other firms.
    place : ndarray of int64, [N]
        The segment; from `len(SEGMENTS)` on a further clearing house.
    instrument : ndarray of int64, [N]
    lots : ndarray of float64, [N]
    """

    group: Integer
    place: Integer
    instrument: Integer
    lots: Float


@dataclass(frozen=True)
class Described:
    """What the lines are called, [N] each.

    Attributes
    ----------
    instrument, kind
        As in the positions table.
    product
        Root of a future, type of a security, or `forward cash leg`.
    tenor
        Bucket of remaining years: of a future those of its cheapest security or to its month.
    leg
        `cash` or `futures`.
    firm, place
        Clearing firm, and segment or further clearing house.
    """

    instrument: Text
    kind: Text
    product: Text
    tenor: Text
    leg: Text
    firm: Text
    place: Text


@dataclass(frozen=True)
class Asked:
    """One account of a run, margined by itself.

    Attributes
    ----------
    account : str
    number : int
        Its place among the accounts.
    stages : Stages
        Of the run.
    batch : Batch
        The account alone.
    firm : tuple of str
        The clearing firm of each group.
    further : tuple of str
        Clearing houses outside the programme.
    lines : AccountLines
    margins, agreement, required
        As a run has them, of this account alone.
    execution : Execution
    """

    account: str
    number: int
    stages: Stages
    batch: Batch
    firm: tuple[str, ...]
    further: tuple[str, ...]
    lines: AccountLines
    margins: AccountMargins
    agreement: Agreement
    required: Requirements
    execution: Execution

    @property
    def as_of(self) -> np.datetime64:
        """The day that the account is margined for."""
        return self.stages.models.market.as_of

    @property
    def described(self) -> Described:
        """What the lines are called."""
        universe = self.stages.models.universe
        at = self.lines.instrument
        kind = universe.kind[at]
        types = np.full(universe.name.size, "", dtype=object)
        held = self.stages.parsed.securities.take(self.stages.parsed.trades.held)
        types[: held.cusip.size] = held.type
        product = np.where(kind == FUTURE, universe.root[at], np.where(kind == TREASURY, "", kind))
        product = np.where(kind == TREASURY, types[at], product)
        places = (*SEGMENTS, *self.further)
        return Described(
            instrument=universe.name[at],
            kind=kind,
            product=product.astype(object),
            tenor=self._tenor(),
            leg=np.where(kind == FUTURE, FUTURES_LEG, CASH_LEG).astype(object),
            firm=np.array(self.firm, dtype=object)[self.lines.group],
            place=np.array(places, dtype=object)[self.lines.place],
        )

    def _tenor(self) -> Text:
        """Return the bucket of remaining years of each line, by the buckets of FICC's floor."""
        universe, as_of = self.stages.models.universe, self.as_of
        held = self.stages.parsed.securities.take(self.stages.parsed.trades.held)
        years = universe.years.copy()
        years[: held.cusip.size] = years_between(as_of, held.maturity_date)
        for number in np.flatnonzero((universe.kind != TREASURY) & (years == 0.0)).tolist():
            name = str(universe.name[number])
            if universe.kind[number] == FORWARD_CASH:
                day = np.datetime64(name.removeprefix("USD "), "D")
            else:
                day = parse_contract(name, as_of).month.astype("datetime64[D]")
            years[number] = max(0.0, float(years_between(as_of, np.array([day]))[0]))
        ends = self.stages.models.policy.ficc.floor_bucket_years
        starts = (0.0, *ends[:-1])
        names = [f"{a:g} to {b:g} years" for a, b in zip(starts, ends, strict=True)]
        bucket = np.searchsorted(np.array(ends), years, side="left")
        named = np.array(names, dtype=object)[np.minimum(bucket, len(ends) - 1)]
        return np.asarray(named[self.lines.instrument])


def ask(stages: Stages, account: str, execution: Execution) -> Asked:
    """Return one account of a run, margined by itself.

    Parameters
    ----------
    stages : Stages
    account : str
    execution : Execution

    Returns
    -------
    Asked

    Raises
    ------
    ValueError
        The run has no such account.
    """
    names = columns.texts(stages.parsed.accounts["account"])
    found = np.flatnonzero(names == account)
    if found.size == 0:
        raise ValueError(f"account {account!r} is not in the run; see run.accounts")
    number = int(found[0])
    assignment, netted, models = stages.classified.assignment, stages.netted, stages.models
    batch = Batch(netted.book, netted.elsewhere, stages.clients).take(np.array([number]))
    others = np.flatnonzero(assignment.group_account[names.size :] == number) + names.size
    margins = margin_accounts(batch.book, batch.elsewhere, models, execution)
    agreement = agree_offsets(batch.book, models, margins, batch.clients, execution)
    return Asked(
        account=account,
        number=number,
        stages=stages,
        batch=batch,
        firm=tuple(assignment.group_firm[[number, *others]].tolist()),
        further=tuple(batch.elsewhere),
        lines=_lines(batch),
        margins=margins,
        agreement=agreement,
        required=require_accounts(margins, agreement, batch.clients),
        execution=execution,
    )


def _lines(batch: Batch) -> AccountLines:
    """Return all lines of a batch of one account."""
    width = len(SEGMENTS)
    row = row_of(batch.book)
    parts = [(row // width, row % width, batch.book.column, batch.book.quantity)]
    for number, book in enumerate(batch.elsewhere.values()):
        group = row_of(book)
        parts.append((group, np.full(group.size, width + number), book.column, book.quantity))
    group, place, instrument, lots = (np.concatenate(part) for part in zip(*parts, strict=True))
    return AccountLines(
        group.astype(np.int64), place.astype(np.int64), instrument.astype(np.int64), lots
    )
