"""Amounts of lines that add up to a total in whole cents."""

from __future__ import annotations

import numpy as np

from crossmargin.arrays import Float, Integer
from crossmargin.exact import ordered_sum

LARGEST_ROUNDING = 100.0
"""Cents between a total and the sum of its amounts."""


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
        There is a total, but no line; or the amounts are off by more than roundings.

    Notes
    -----
    Each amount is rounded down to the cent. The cents that are then lacking go to the lines with
    the largest remainder, one each; of equal ones, to the first. If more cents are lacking than
    there are lines, or too many were given, every line gets the same number of them first.
    A total is the sum of a few rounded components, so amounts that are off by a dollar were found
    wrongly, and are not hidden in the lines.

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
    off = abs(total - float(ordered_sum(exact)))
    if not off <= LARGEST_ROUNDING + 1e-12 * float(ordered_sum(np.abs(exact))):
        raise ValueError(f"amounts of {total} cents are off by {off:,.0f} cents")
    low = np.floor(exact)
    cents = low.astype(np.int64)
    each, left = divmod(total - int(cents.sum()), amount.size)
    cents += each
    cents[np.argsort(low - exact, kind="stable")[:left]] += 1
    return cents
