"""Build a market from typed tables."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Dates, Float
from crossmargin.market.basis import Basis, basis_by_root
from crossmargin.market.curve import TENORS
from crossmargin.market.market import Market, Note, build_market
from crossmargin.market.sofr import build_sofr
from crossmargin.market.specific import SpreadHistory


def market_from_tables(
    par_yields: pa.Table,
    *,
    as_of: str | np.datetime64,
    basis: pa.Table | None = None,
    fixings: pa.Table | None = None,
    sofr: pa.Table | None = None,
    spreads: pa.Table | None = None,
    synthetic: bool = False,
    source: dict[str, dict[str, Any]] | None = None,
    notes: tuple[Note, ...] = (),
) -> Market:
    """Return a market built from typed tables.

    Parameters
    ----------
    par_yields : pyarrow.Table
        `date` (date32, ascending) and `1mo` ... `30y` (float64, percent, null where missing).
    as_of : str or datetime64[D]
        The day the book is margined for; later rows are ignored.
    basis, fixings : pyarrow.Table, optional
        (date, root, contract, basis in price points) and (date, index, rate_pct).
    sofr : pyarrow.Table, optional
        Swap rates against SOFR: `date` and the tenors, as in `par_yields`.
    spreads : pyarrow.Table, optional
        (date, group, spread_pct) of groups of securities.
    synthetic : bool
        Whether the market is marked as synthetic.
    source : dict of str to dict, optional
        Description of each table, for the manifest.
    notes : tuple of Note
        Notes on the tables, for the exceptions of a run.

    Returns
    -------
    Market

    Raises
    ------
    ValueError
        No usable row within five business days of `as_of`, or rates that give no curve.
    """
    day = cast(np.datetime64, np.asarray(as_of, dtype="datetime64[D]")[()])
    return build_market(
        columns.dates(par_yields["date"]),
        _rates(par_yields),
        as_of=day,
        basis=None if basis is None else _bases(basis, day),
        fixings=None if fixings is None else _fixings(fixings),
        sofr=None
        if sofr is None
        else build_sofr(columns.dates(sofr["date"]), _rates(sofr), as_of=day),
        spreads=None if spreads is None else _spreads(spreads, day),
        synthetic=synthetic,
        source=source,
        notes=notes,
    )


def _rates(table: pa.Table) -> Float:
    """Return the rates of a table by tenor, decimal, NaN where missing, [N x 11]."""
    return np.column_stack([columns.numbers(table[name]) for name in TENORS]) / 100.0


def _bases(table: pa.Table, as_of: np.datetime64) -> dict[str, Basis]:
    return basis_by_root(
        columns.dates(table["date"]),
        columns.ranked(table["root"]),
        columns.ranked(table["contract"]),
        columns.numbers(table["basis"]),
        as_of=as_of,
    )


def _spreads(table: pa.Table, as_of: np.datetime64) -> SpreadHistory | None:
    """Return the spreads up to a day; None if there are none."""
    number, names = columns.ranked(table["group"])
    date = columns.dates(table["date"])
    past = np.flatnonzero(date <= as_of)
    days, row = np.unique(date[past], return_inverse=True)
    if days.size == 0:
        return None
    level = np.full((days.size, len(names)), np.nan)
    level[row, number[past]] = columns.numbers(table["spread_pct"])[past] / 100.0
    return SpreadHistory(tuple(names), days, level)


def _fixings(table: pa.Table) -> dict[str, tuple[Dates, Float]]:
    """Return the days, ascending, and the decimal rates of each index."""
    date = columns.dates(table["date"])
    rate = columns.numbers(table["rate_pct"]) / 100.0
    index = columns.texts(table["index"]).astype(str)
    fixings = {}
    for name in np.unique(index).tolist():
        order = np.argsort(date[index == name], kind="stable")
        fixings[name] = (date[index == name][order], rate[index == name][order])
    return fixings
