"""Basis histories: how far a Treasury future settled from its model price."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Dates, Float, Integer, Mask
from crossmargin.market.frozen import Frozen


@dataclass(frozen=True)
class Basis(Frozen):
    """The basis of one root: settlement minus model price, by contract.

    Attributes
    ----------
    root : str
        `ZN`, ...
    contract : tuple of str, [C]
        In the order in which their histories end, then begin.
    date : ndarray of datetime64[D], [D]
        Ascending dates of the history.
    level : ndarray of float64, [D x C]
        Price points; NaN where a contract has no row that day.
    """

    root: str
    contract: tuple[str, ...]
    date: Dates
    level: Float

    def change(self, row_date: Dates, horizon: int) -> tuple[Float, Mask]:
        """Return the change of the basis over `horizon` rows that ended on each row.

        Parameters
        ----------
        row_date : ndarray of datetime64[D], [T]
            Dates of the curve history, ascending.
        horizon : int
            Rows between the two ends.

        Returns
        -------
        change : ndarray of float64, [T - horizon]
            Price points; of the contract that ends first among those with both ends, else zero.
        known : ndarray of bool, [T - horizon]
            Whether any contract has both ends.
        """
        at = np.searchsorted(self.date, row_date)
        day = np.where(self.date[at % self.date.size] == row_date, at % self.date.size, -1)
        row = np.full(self.date.size, row_date.size)
        row[day[day >= 0]] = np.flatnonzero(day >= 0)
        # Most contracts have no row on most days, so only those that have one are looked at.
        begin, contract = self._cell
        inside = np.flatnonzero(row[begin] < row_date.size - horizon)
        begin, contract = begin[inside], contract[inside]
        end = day[row[begin] + horizon]
        change = self.level[end, contract] - self.level[begin, contract]
        both = np.flatnonzero((end >= 0) & ~np.isnan(change))
        # The contract that ends first comes first on its day.
        begun, first = np.unique(row[begin[both]], return_index=True)
        result, known = np.zeros(row_date.size - horizon), np.zeros(row_date.size - horizon, bool)
        result[begun], known[begun] = change[both[first]], True
        return result, known

    @cached_property
    def _cell(self) -> tuple[Integer, Integer]:
        """Day and contract of each cell that is known, by day, then contract."""
        day, contract = np.nonzero(~np.isnan(self.level))
        return day, contract


def read_basis(table: pa.Table, *, as_of: np.datetime64) -> dict[str, Basis]:
    """Return the basis of each root from a typed table (date, root, contract, basis).

    Rows after `as_of` are not looked at.

    Raises
    ------
    ValueError
        A date has two rows of one contract.
    """
    past = np.flatnonzero(columns.dates(table["date"]) <= as_of)
    date, basis = columns.dates(table["date"])[past], columns.numbers(table["basis"])[past]
    root, root_name = columns.ranked(table["root"])
    contract, contract_name = columns.ranked(table["contract"])
    found = {}
    for number, name in enumerate(root_name):
        mine = np.flatnonzero(root[past] == number)
        if mine.size == 0:
            continue
        days, row = np.unique(date[mine], return_inverse=True)
        listed, column = np.unique(contract[past][mine], return_inverse=True)
        names = np.array(contract_name)[listed]
        cell = row * names.size + column
        if np.unique(cell).size != cell.size:
            twice = int(cell[np.flatnonzero(np.bincount(cell)[cell] > 1)[0]])
            raise ValueError(
                f"basis: {names[twice % names.size]} has two rows on {days[twice // names.size]}"
            )
        known = ~np.isnan(basis[mine])
        begins, ends = np.full(names.size, days.size), np.full(names.size, -1)
        np.minimum.at(begins, column[known], row[known])
        np.maximum.at(ends, column[known], row[known])
        # Contracts still listed on the last day end together: the one listed first is the nearer.
        order = np.lexsort((names, begins, ends))
        level = np.full((days.size, names.size), np.nan)
        level[row, np.argsort(order)[column]] = basis[mine]
        found[name] = Basis(name, tuple(names[order].tolist()), days, level)
    return found
