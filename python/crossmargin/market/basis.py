"""Basis histories: settlement price of a Treasury future minus its model price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

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
        Sorted by the end of their histories, then by the beginning.
    date : ndarray of datetime64[D], [D]
        Ascending dates of the history.
    level : ndarray of float64, [D x C]
        Price points; NaN where a contract has no row that day.
    known_day, known_contract : ndarray of int64, [N]
        The cells of `level` that are known, by day, then contract.
    """

    root: str
    contract: tuple[str, ...]
    date: Dates
    level: Float
    known_day: Integer = field(init=False, repr=False, compare=False)
    known_contract: Integer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """List the known cells; most contracts have no row on most days."""
        day, contract = np.nonzero(~np.isnan(self.level))
        object.__setattr__(self, "known_day", day)
        object.__setattr__(self, "known_contract", contract)
        super().__post_init__()

    def change(self, row_date: Dates, horizon: int) -> tuple[Float, Mask]:
        """Return the change of the basis over the last `horizon` rows, for each row.

        Parameters
        ----------
        row_date : ndarray of datetime64[D], [T]
            Dates of the curve history, ascending.
        horizon : int
            Rows between the two ends.

        Returns
        -------
        change : ndarray of float64, [T - horizon]
            Price points. Of the contracts known on both dates, the one whose history ends first is
            used; zero if there is none.
        known : ndarray of bool, [T - horizon]
            Whether any contract is known on both dates.
        """
        at = np.searchsorted(self.date, row_date)
        day = np.where(self.date[at % self.date.size] == row_date, at % self.date.size, -1)
        row = np.full(self.date.size, row_date.size)
        row[day[day >= 0]] = np.flatnonzero(day >= 0)
        inside = np.flatnonzero(row[self.known_day] < row_date.size - horizon)
        begin, contract = self.known_day[inside], self.known_contract[inside]
        end = day[row[begin] + horizon]
        change = self.level[end, contract] - self.level[begin, contract]
        both = np.flatnonzero((end >= 0) & ~np.isnan(change))
        # On each day the contracts are sorted by the end of their histories.
        begun, first = np.unique(row[begin[both]], return_index=True)
        result, known = np.zeros(row_date.size - horizon), np.zeros(row_date.size - horizon, bool)
        result[begun], known[begun] = change[both[first]], True
        return result, known


def basis_by_root(
    date: Dates,
    root: tuple[Integer, Sequence[str]],
    contract: tuple[Integer, Sequence[str]],
    level: Float,
    *,
    as_of: np.datetime64,
) -> dict[str, Basis]:
    """Return the basis of each root; each row given is one contract on one day.

    Parameters
    ----------
    date : ndarray of datetime64[D], [N]
        In any order; rows after `as_of` are ignored.
    root, contract : (ndarray of int64, [N], sequence of str)
        The index of each row's name, and the names ascending, as `columns.ranked` returns them.
    level : ndarray of float64, [N]
        Settlement minus model price, price points; NaN where unknown.
    as_of : datetime64[D]
        The last day.

    Returns
    -------
    dict of str to Basis

    Raises
    ------
    ValueError
        A date has two rows of one contract.
    """
    past = np.flatnonzero(date <= as_of)
    date, level = date[past], level[past]
    of_root, of_contract = root[0][past], contract[0][past]
    found = {}
    for number, name in enumerate(root[1]):
        mine = np.flatnonzero(of_root == number)
        if mine.size == 0:
            continue
        days, row = np.unique(date[mine], return_inverse=True)
        listed, column = np.unique(of_contract[mine], return_inverse=True)
        names = np.array(contract[1])[listed]
        cell = row * names.size + column
        if np.unique(cell).size != cell.size:
            twice = int(cell[np.flatnonzero(np.bincount(cell)[cell] > 1)[0]])
            raise ValueError(
                f"basis: {names[twice % names.size]} has two rows on {days[twice // names.size]}"
            )
        known = ~np.isnan(level[mine])
        begins, ends = np.full(names.size, days.size), np.full(names.size, -1)
        np.minimum.at(begins, column[known], row[known])
        np.maximum.at(ends, column[known], row[known])
        # Contracts still listed on the last day end together; the one listed first expires first.
        order = np.lexsort((names, begins, ends))
        by_day = np.full((days.size, names.size), np.nan)
        by_day[row, np.argsort(order)[column]] = level[mine]
        found[name] = Basis(name, tuple(names[order].tolist()), days, by_day)
    return found
