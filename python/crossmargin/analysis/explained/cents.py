"""Amounts of lines that add up to a total in whole cents."""

from __future__ import annotations

import numpy as np

from crossmargin.arrays import Float, Integer


def shared_cents(total: int, amount: Float) -> Integer:
    """Return amounts in whole cents whose sum is a given total, by the largest remainder.

    Parameters
    ----------
    total : int
        Whole cents.
    amount : ndarray of float64, [N]
        USD. Their sum is the total, but for rounding.

    Returns
    -------
    ndarray of int64, [N]

    Raises
    ------
    ValueError
        There is a total, but no line.

    Notes
    -----
    Each amount is rounded down to the cent. The cents that are then lacking go to the lines with
    the largest remainder, one each; of equal ones, to the first. If more cents are lacking than
    there are lines, or too many were given, every line gets the same number of them first.

    Examples
    --------
    >>> shared_cents(1001, np.array([3.335, 3.335, 3.34]))
    array([334, 333, 334])
    """
    if amount.size == 0:
        if total:
            raise ValueError(f"{total} cents cannot be shared out over no line")
        return np.zeros(0, dtype=np.int64)
    exact = amount * 100.0
    low = np.floor(exact)
    cents = low.astype(np.int64)
    each, left = divmod(total - int(cents.sum()), amount.size)
    cents += each
    cents[np.argsort(low - exact, kind="stable")[:left]] += 1
    return cents
