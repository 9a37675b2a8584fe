"""Boxes of choices, and functions that V never falls below on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Float, Integer, Mask

LOWEST = -1e15
"""USD: below any sum of an account. It is finite, so that no share of it is NaN."""


@dataclass(frozen=True)
class Form:
    """A function that V never falls below on a box: constant + sum over the lines of slope * step.

    A step leads from the box's anchor to the choice. Its slope is `up` where it is positive and
    `down` where it is negative, and `up` is at most `down`: the function is concave, so that it is
    smallest at an end of each line's range.

    Attributes
    ----------
    constant : ndarray of float64, [N]
        Its value at the anchor, USD.
    up, down : ndarray of float64, [N x D]
        USD a contract.
    """

    constant: Float
    up: Float
    down: Float

    def least(self, boxes: Boxes) -> Float:
        """Return the smallest value over each box, [N]."""
        rises, falls = boxes.room
        ends = np.minimum(self.up * rises, self.down * falls)
        return np.asarray(self.constant + ends.sum(axis=1))

    def scaled(self, factor: Float | float) -> Form:
        """Return this function times a factor, [N] or one, none negative."""
        column = factor[:, None] if isinstance(factor, np.ndarray) else factor
        return Form(self.constant * factor, self.up * column, self.down * column)

    def plus(self, other: Form) -> Form:
        """Return the sum of two functions."""
        return Form(self.constant + other.constant, self.up + other.up, self.down + other.down)

    def spread(self, at: Integer, size: int) -> Form:
        """Return forms of some boxes among `size`; those of the others are of no use."""
        constant = np.full(size, LOWEST)
        up, down = np.zeros((2, size, self.up.shape[1]))
        constant[at], up[at], down[at] = self.constant, self.up, self.down
        return Form(constant, up, down)

    def raised(self, amount: Float | float) -> Form:
        """Return this function plus a constant, [N] or one."""
        return Form(self.constant + amount, self.up, self.down)


@dataclass(frozen=True)
class Boxes:
    """N boxes: the account of each, and the range of each of up to D lines.

    Attributes
    ----------
    account : ndarray of int64, [N]
        Number within the accounts that are bounded together.
    lower, upper : ndarray of int64, [N x D]
        Contracts; zero beyond an account's lines.
    anchor : ndarray of int64, [N x D]
        A choice in the box.
    """

    account: Integer
    lower: Integer
    upper: Integer
    anchor: Integer

    @property
    def room(self) -> tuple[Float, Float]:
        """How far each line can rise above the anchor, and fall below it (negative), [N x D]."""
        return (
            (self.upper - self.anchor).astype(np.float64),
            (self.lower - self.anchor).astype(np.float64),
        )

    @property
    def single(self) -> Mask:
        """Whether a box holds one choice only, [N]."""
        return np.asarray((self.upper == self.lower).all(axis=1))

    def take(self, at: Integer | Mask) -> Boxes:
        """Return some of the boxes."""
        return Boxes(self.account[at], self.lower[at], self.upper[at], self.anchor[at])

    def middle(self) -> Integer:
        """Return a choice near the middle of each box, [N x D]."""
        return self.lower + (self.upper - self.lower) // 2

    def cut(self, line: Integer) -> Boxes:
        """Return both parts of each box, cut along a line, [2N]: all lower ones first."""
        box = np.arange(line.size)
        middle = self.middle()[box, line]
        lower, upper = self.lower.copy(), self.upper.copy()
        upper[box, line] = middle
        lower[box, line] = middle + 1
        return joined(
            (
                Boxes(self.account, self.lower, upper, np.minimum(self.anchor, upper)),
                Boxes(self.account, lower, self.upper, np.maximum(self.anchor, lower)),
            )
        )


def joined(parts: Sequence[Boxes]) -> Boxes:
    """Return all boxes as one."""
    return Boxes(
        np.concatenate([part.account for part in parts]),
        np.concatenate([part.lower for part in parts]),
        np.concatenate([part.upper for part in parts]),
        np.concatenate([part.anchor for part in parts]),
    )
