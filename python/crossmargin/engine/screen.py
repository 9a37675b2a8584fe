"""A cube's P&L in two more shapes, with which the C++ kernel screens scenarios in float32.

The answer does not depend on it: see the proof in cpp/src/tails/screen-inl.h.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.engine.arrays import Float, Float32, Int32, frozen

CHUNK = 64
"""Scenarios in a chunk; `kScreenChunk` of the C++ header."""
LINE = 64
"""Bytes of a cache line."""
LARGEST_PNL = 2.0**100
"""Beyond it float32 could overflow."""


@dataclass(frozen=True, eq=False)
class Screen:
    """What the kernel needs to screen some scenarios.

    Attributes
    ----------
    order : ndarray of int32 [S]
        The scenarios, those with the largest moves first.
    narrow : ndarray of float32 [chunks x I x 64]
        P&L in that order, the last chunk padded with zeros.
    by_scenario : ndarray of float64 [S x I]
        P&L, transposed.
    """

    order: Int32
    narrow: Float32
    by_scenario: Float


NO_SCREEN = Screen(
    np.empty(0, np.int32), np.empty((0, 0, CHUNK), np.float32), np.empty((0, 0), np.float64)
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
        `NO_SCREEN` where a P&L is too large for float32.
    """
    if bool(np.any(largest >= LARGEST_PNL)):
        return NO_SCREEN
    instruments, scenarios = pnl.shape
    # How far a scenario moves the instruments, each in its own units. Any order would be right.
    share = np.divide(pnl, largest[:, None], out=np.zeros_like(pnl), where=largest[:, None] > 0.0)
    order = np.argsort(-np.square(share).sum(axis=0), kind="stable").astype(np.int32)
    chunks = -(-scenarios // CHUNK)
    padded = np.zeros((instruments, chunks * CHUNK), np.float32)
    padded[:, :scenarios] = pnl[:, order]
    narrow = _on_lines((chunks, instruments, CHUNK))
    narrow[:] = padded.reshape(instruments, chunks, CHUNK).transpose(1, 0, 2)
    return Screen(frozen(order), frozen(narrow), frozen(np.ascontiguousarray(pnl.T)))


def _on_lines(shape: tuple[int, int, int]) -> Float32:
    """Return an empty array that starts on a cache line: vectors across two are read twice."""
    size = int(np.prod(shape)) * 4
    raw = np.empty(size + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + size].view(np.float32).reshape(shape)
