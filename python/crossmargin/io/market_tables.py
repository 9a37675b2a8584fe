"""Build a market from typed tables."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Dates, Float
from crossmargin.book.schemas import SPREADS
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
        No usable row within five business days of `as_of`, rates that give no curve, or spreads of
        later days alone.
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


def _spreads(table: pa.Table, as_of: np.datetime64) -> SpreadHistory:
    """Return the spreads up to a day, of the groups that have one."""
    table = table.filter(columns.column(columns.dates(table["date"]) <= as_of))
    if not len(table):
        raise ValueError(
            f"{SPREADS.name}: has no spread dated {as_of} or earlier; give some, or leave it out"
        )
    number, names = columns.ranked(table["group"])
    # A dictionary may still hold the names of rows that were filtered out.
    used, column = np.unique(number, return_inverse=True)
    days, row = np.unique(columns.dates(table["date"]), return_inverse=True)
    level = np.full((days.size, used.size), np.nan)
    level[row, column] = columns.numbers(table["spread_pct"]) / 100.0
    return SpreadHistory(tuple(names[k] for k in used.tolist()), days, level)


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
