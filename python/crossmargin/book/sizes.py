"""Check whether a book is plausible: it holds no more than the market has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Float
from crossmargin.book.netting import Lines
from crossmargin.book.trades import LOT
from crossmargin.exceptions import ExceptionLog
from crossmargin.instruments.universe import FUTURE, Universe


def market_size(
    universe: Universe, outstanding: Float, open_interest: Mapping[str, float]
) -> Float:
    """Return how much of each instrument exists, lots or contracts, NaN if unknown, [I].

    Parameters
    ----------
    universe : Universe
        The instruments; securities come first.
    outstanding : ndarray of float64
        USD of face of each of those securities, NaN where not given.
    open_interest : mapping of str to float
        Contracts, by contract or root; a contract's entry overrides its root's.
    """
    size = np.full(universe.name.size, np.nan)
    size[: outstanding.size] = outstanding / LOT
    for i in np.flatnonzero(universe.kind == FUTURE):
        of_root = open_interest.get(universe.root[i], np.nan)
        size[i] = open_interest.get(universe.name[i], of_root)
    return size


def note_sizes(
    lines: Lines,
    universe: Universe,
    size: Float,
    account: pa.Array,
    file: str,
    log: ExceptionLog,
) -> None:
    """Note positions, and sides of the whole book, that are larger than what exists.

    Parameters
    ----------
    lines : Lines
        The netted book, [N].
    universe : Universe
        Names of the instruments.
    size : ndarray of float64, [I]
        From `market_size`.
    account : pyarrow.StringArray, [N]
        Account of each line.
    file : str
        Name of the positions table in exceptions.
    log : ExceptionLog
        Takes a note for each position that is too large, and for each other instrument of which
        all longs or all shorts together are too large.
    """

    def text(lots: float, i: int) -> str:
        if universe.kind[i] == FUTURE:
            return f"{lots:,.0f} contracts, more than the {size[i]:,.0f} of open interest"
        return f"{LOT * lots:,.0f} USD of face, more than the {LOT * size[i]:,.0f} outstanding"

    at = np.flatnonzero(np.abs(lines.lots) > size[lines.instrument])
    log.add(
        "ABOVE_OUTSTANDING",
        file=file,
        account=account.take(columns.column(at)),
        instrument=universe.name[lines.instrument[at]],
        message=[
            f"a position of {text(lines.lots[n], lines.instrument[n])}; check the quantity's unit"
            for n in at.tolist()
        ],
    )
    sides = [
        np.bincount(lines.instrument, np.maximum(sign * lines.lots, 0), size.size)
        for sign in (1, -1)
    ]
    together = np.maximum(*sides)
    noted = np.zeros(size.size, dtype=bool)
    noted[lines.instrument[at]] = True
    beyond = np.flatnonzero((together > size) & ~noted)
    log.add(
        "ABOVE_OUTSTANDING",
        file=file,
        instrument=universe.name[beyond],
        message=[
            f"one side of the book has {text(together[i], i)}; check for repeated rows"
            for i in beyond.tolist()
        ],
    )
