"""A cube's P&L in two more shapes, with which the C++ kernel screens scenarios in 16 bits.

The answer does not depend on it: see the proof in cpp/src/tails/screen-inl.h.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Float, Int16, Int32
from crossmargin.engine.arrays import frozen, on_lines

CHUNK = 64
"""Scenarios in a chunk; `kScreenChunk` of the C++ header."""
SCALE = 32767
"""What an instrument's largest move becomes; `kScale` of the kernel."""
LEAST_MOVE = 2.0**-900
"""Smaller largest moves count as this, so that dividing by them is safe; `kLeastMove` there."""


@dataclass(frozen=True, eq=False)
class Screen:
    """What the kernel needs to screen some scenarios in 16 bits.

    Attributes
    ----------
    order : ndarray of int32 [S]
        The scenarios, those with the largest moves first.
    narrow : ndarray of int16 [chunks x I x 64]
        P&L in that order, the largest move of an instrument 32767, the last chunk padded with
        zeros.
    by_scenario : ndarray of float64 [S x I]
        P&L, transposed.
    """

    order: Int32
    narrow: Int16
    by_scenario: Float


NO_SCREEN = Screen(
    np.empty(0, np.int32), np.empty((0, 0, CHUNK), np.int16), np.empty((0, 0), np.float64)
)


def make_screen(pnl: Float, largest: Float) -> Screen:
    """Return the screen of a measure's P&L.

    Parameters
    ----------
    pnl : ndarray of float64 [I x S]
        USD.
    largest : ndarray of float64 [I]
        A bound of each row's magnitude.

    Returns
    -------
    Screen
    """
    instruments, scenarios = pnl.shape
    step = np.maximum(largest, LEAST_MOVE) / SCALE
    scaled = np.rint(pnl / step[:, None]).astype(np.int16)
    # How far a scenario moves the instruments, each in its own units. Any order would be right.
    moves = np.square(scaled, dtype=np.float32).sum(axis=0)
    order = np.argsort(-moves, kind="stable").astype(np.int32)
    chunks = -(-scenarios // CHUNK)
    padded = np.zeros((instruments, chunks * CHUNK), np.int16)
    padded[:, :scenarios] = scaled[:, order]
    narrow = on_lines((chunks, instruments, CHUNK), np.int16)
    narrow[:] = padded.reshape(instruments, chunks, CHUNK).transpose(1, 0, 2)
    return Screen(frozen(order), frozen(narrow), frozen(np.ascontiguousarray(pnl.T)))
