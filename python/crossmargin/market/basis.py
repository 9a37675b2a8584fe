"""Basis histories: how far a Treasury future settled from its model price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Dates = npt.NDArray[np.datetime64]
Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Basis:
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

    def change(self, row_date: Dates, horizon: int) -> tuple[Float, npt.NDArray[np.bool_]]:
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
        at[at == self.date.size] = 0
        level = self.level[at]
        level[self.date[at] != row_date] = np.nan
        change = level[horizon:] - level[:-horizon]
        both = ~np.isnan(change)
        first = both.argmax(axis=1)
        known = np.asarray(both.any(axis=1))
        picked = change[np.arange(change.shape[0]), first]
        return np.where(known, picked, 0.0), known


def read_basis(table: pa.Table, *, as_of: np.datetime64) -> dict[str, Basis]:
    """Return the basis of each root from a typed table (date, root, contract, basis).

    Rows after `as_of` are not looked at.

    Raises
    ------
    ValueError
        A date has two rows of one contract.
    """
    date = table["date"].to_numpy().astype("datetime64[D]")
    past = date <= as_of
    date = date[past]
    root = np.asarray(table["root"].to_pylist(), dtype=object)[past]
    contract = np.asarray(table["contract"].to_pylist(), dtype=object)[past]
    basis = table["basis"].to_numpy()[past]
    found = {}
    for name in sorted(set(root.tolist())):
        mine = root == name
        days, row = np.unique(date[mine], return_inverse=True)
        names, column = np.unique(contract[mine].astype(str), return_inverse=True)
        cell = row * names.size + column
        if np.unique(cell).size != cell.size:
            twice = int(cell[np.flatnonzero(np.bincount(cell)[cell] > 1)[0]])
            raise ValueError(
                f"basis: {names[twice % names.size]} has two rows on {days[twice // names.size]}"
            )
        level = np.full((days.size, names.size), np.nan)
        level[row, column] = basis[mine]
        known = ~np.isnan(level)
        ends = days.size - 1 - known[::-1].argmax(axis=0)
        # Contracts still listed on the last day end together: the one listed first is the nearer.
        order = np.lexsort((names, known.argmax(axis=0), ends))
        found[name] = Basis(name, tuple(names[order].tolist()), days, level[:, order])
    return found
