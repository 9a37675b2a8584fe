"""What the agreement needs to know about accounts."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.arrays import Float, Integer, Mask


@dataclass(frozen=True)
class Clients:
    """What the agreement and the requirement need to know about the accounts.

    Attributes
    ----------
    eligible, complete : ndarray of bool, [A]
        Whether the account may be cross-margined; whether none of its rows was rejected.
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
