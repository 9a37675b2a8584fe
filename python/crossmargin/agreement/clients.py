"""What the agreement has to know of accounts."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.arrays import Float, Integer, Mask


@dataclass(frozen=True)
class Clients:
    """What the agreement and the requirement have to know of the accounts.

    Attributes
    ----------
    eligible, complete : ndarray of bool, [A]
        May be cross-margined; none of its rows was rejected.
    multiplier, floor, minimum : ndarray of float64, [A]
        The firm's own terms.
    group_account : ndarray of int64, [G]
        The account of each group of the book; the first A groups are the accounts themselves.
    """

    eligible: Mask
    complete: Mask
    multiplier: Float
    floor: Float
    minimum: Float
    group_account: Integer
