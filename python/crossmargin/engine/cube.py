"""P&L cubes, and the tails measured on them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Array, Float, Int32
from crossmargin.engine.arrays import floats, frozen, integers

if TYPE_CHECKING:
    from crossmargin.engine._core import Screen

GRID_STEPS = 2.0**20
"""Grid steps in one USD (methodology, section 1)."""
TAILS_WORTH_A_SCREEN = 500
"""Tails; from this many on, the screen saves more time than making it takes."""
SNAP = 1e-9
"""A tail size this close to a whole number is rounded to it (methodology, section 1)."""


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Cube:
    """The P&L of one unit of each instrument in each scenario; read-only, as its copies are.

    Parameters
    ----------
    pnl : array_like of float [I x S]
        USD per lot or contract, gain positive. Copied once, to float64 in C order.
    scenario : sequence, optional
        A name or date for each scenario, kept for reports.

    Attributes
    ----------
    pnl : ndarray of float64 [I x S]
    scenario : ndarray [S] or None
    largest : ndarray of float64 [I]
        The largest magnitude of each instrument's P&L, USD.

    Raises
    ------
    TypeError
        The values are not real numbers.
    ValueError
        Not two dimensions, no scenario, or a NaN or infinite value; the message names it.
    """

    pnl: Float
    scenario: Array | None
    largest: Float = field(init=False)
    _screens: dict[tuple[int, int], Screen] = field(init=False)

    def __init__(self, pnl: npt.ArrayLike, scenario: Sequence[Any] | Array | None = None) -> None:
        own = frozen(floats("pnl", pnl, ndim=2, copy=True))
        if own.shape[1] == 0:
            raise ValueError("pnl: a cube needs at least one scenario")
        names = None if scenario is None else frozen(np.array(scenario))
        if names is not None and names.shape != own.shape[1:]:
            raise ValueError(
                f"scenario: {own.shape[1]} names expected, one for each column of pnl, "
                f"got shape {names.shape}"
            )
        largest = frozen(np.array([np.abs(row).max() for row in own], dtype=np.float64))
        for name, value in (("pnl", own), ("scenario", names), ("largest", largest)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_screens", {})

    def __reduce__(self) -> tuple[type[Cube], tuple[Any, ...]]:
        """Copy and unpickle through the constructor, which derives everything else anew."""
        return type(self), (self.pnl, self.scenario)

    @property
    def instruments(self) -> int:
        """The number of instruments I."""
        return len(self.pnl)

    @property
    def scenarios(self) -> int:
        """The number of scenarios S."""
        return int(self.pnl.shape[1])

    @cached_property
    def on_grid(self) -> bool:
        """Whether every value is a multiple of 2^-20 USD."""
        return all(_on_grid(row) for row in self.pnl)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the shape and the little-endian values, in hexadecimal."""
        digest = hashlib.sha256(np.array(self.pnl.shape, dtype="<i8").tobytes())
        for row in self.pnl:
            digest.update(row.astype("<f8", copy=False).tobytes())
        return digest.hexdigest()

    def make_screen(self, start: int, count: int, *, level: str) -> None:
        """Make the screen of some columns for the C++ kernels, unless it exists.

        Parameters
        ----------
        start, count : int
            The columns.
        level : str
            The instruction set to make it with. It serves calls with any.

        Raises
        ------
        ImportError
            The C++ kernels are not installed.
        ValueError
            This CPU does not support the level.
        """
        key = (start, count)
        if key not in self._screens:
            self._screens[key] = import_module("crossmargin.engine._core").Screen(
                level=level, pnl=self.pnl, largest=self.largest, start=start, count=count
            )

    def screen(self, start: int, count: int) -> Screen | None:
        """Return the screen of some columns, or None if it has not been made."""
        return self._screens.get((start, count))

    def __repr__(self) -> str:
        """Return the shape and whether the cube is on the grid."""
        grid = "on" if self.on_grid else "off"
        return f"Cube({self.instruments} instruments x {self.scenarios} scenarios, {grid} the grid)"


def _on_grid(values: Float) -> bool:
    """Tell whether all values are multiples of 2^-20."""
    # Every float64 from 2^33 up is a multiple, and scaling it could overflow.
    steps = np.where(np.abs(values) < 2.0**33, values, 0.0) * GRID_STEPS
    return bool(np.all(steps == np.rint(steps)))


def tail_size(level: float, scenarios: int) -> tuple[float, int]:
    """Return the size of the tail in scenarios, w, and the order statistic k that is VaR.

    Parameters
    ----------
    level : float
        Confidence level, strictly between 0 and 1.
    scenarios : int
        The number of scenarios S, at least one.

    Returns
    -------
    w : float
        (1 - level) * S, snapped to the nearest integer within 1e-9.
    k : int
        max(1, ceil(w)).

    Raises
    ------
    ValueError
        The level is not strictly between 0 and 1, or is so close to 1 that the tail is empty.

    Notes
    -----
    Methodology, section 1.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level: must lie strictly between 0 and 1, got {level!r}")
    w = (1.0 - level) * scenarios
    if abs(w - round(w)) <= SNAP:
        w = float(round(w))
    if w == 0.0:
        raise ValueError(f"level: {level!r} leaves an empty tail of {scenarios} scenarios")
    return w, max(1, int(np.ceil(w)))


@dataclass(frozen=True, eq=False)
class Measure:
    """A tail at one level over some scenarios of one cube.

    Attributes
    ----------
    cube : Cube
        The P&L.
    level : float
        Confidence level, strictly between 0 and 1.
    scenarios : None, slice or array_like of int
        All of them, a range of step 1, or ascending column numbers. A contiguous range is a view
        of the cube; any other selection is copied.
    pnl : ndarray of float64
        The array that the kernels read, in columns `start` to `start + count`.
    start, count : int
        The columns to use.
    column : ndarray of int32 or None
        The cube's column of each scenario used, if they were copied.
    w : float
        The size of the tail; see `tail_size`.
    k : int
        The order statistic that is VaR.
    weight : ndarray of float64 [k]
        The weight of each tail scenario in ES, worst first: ones, and w - (k - 1) last.

    Raises
    ------
    ValueError
        A bad level or scenario selection.
    """

    cube: Cube
    level: float = 0.99
    scenarios: slice | npt.ArrayLike | None = None
    pnl: Float = field(init=False, repr=False)
    start: int = field(init=False, repr=False)
    count: int = field(init=False, repr=False)
    column: Int32 | None = field(init=False, repr=False)
    w: float = field(init=False, repr=False)
    k: int = field(init=False, repr=False)
    weight: Float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Resolve the scenarios and the tail's size."""
        if not isinstance(self.cube, Cube):
            raise TypeError(f"cube: a crossmargin.Cube expected, got {type(self.cube).__name__}")
        start, count, column = _select(self.scenarios, self.cube.scenarios)
        pnl = self.cube.pnl
        if column is not None:
            pnl = frozen(np.ascontiguousarray(pnl[:, column]))
        w, k = tail_size(self.level, count)
        weight = np.ones(k)
        weight[-1] = w - (k - 1)
        resolved = {
            # The caller's array may change later.
            "scenarios": slice(start, start + count) if column is None else column,
            "pnl": pnl,
            "start": start,
            "count": count,
            "column": column,
            "w": w,
            "k": k,
            "weight": frozen(weight),
        }
        for name, value in resolved.items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[type[Measure], tuple[Any, ...]]:
        """Copy and unpickle through the constructor."""
        return type(self), (self.cube, self.level, self.scenarios)

    def prepare(self, tails: int, level: str) -> None:
        """Make the C++ kernels' screen, at a level, if it saves time on this many tails."""
        if self.lacks_screen(tails):
            self.cube.make_screen(self.start, self.count, level=level)

    def lacks_screen(self, tails: int) -> bool:
        """Return whether a screen saves time on this many tails and has not been made."""
        return self.column is None and tails >= TAILS_WORTH_A_SCREEN and self.screen is None

    @property
    def screen(self) -> Screen | None:
        """The C++ kernels' screen of the scenarios, if it has been made."""
        return None if self.column is not None else self.cube.screen(self.start, self.count)

    def cube_scenario(self, used: Int32) -> Int32:
        """Return the cube's scenario numbers for indices into the scenarios used."""
        return used + np.int32(self.start) if self.column is None else self.column[used]


def _select(scenarios: slice | npt.ArrayLike | None, total: int) -> tuple[int, int, Int32 | None]:
    """Return start and count of a contiguous selection, or the columns of any other."""
    if scenarios is None:
        return 0, total, None
    if isinstance(scenarios, slice):
        start, stop, step = scenarios.indices(total)
        if step != 1 or stop <= start:
            raise ValueError(
                f"scenarios: {scenarios} selects none of {total} scenarios or has a step; "
                "use a slice of step 1 or an array of column numbers"
            )
        return start, stop - start, None
    column = integers("scenarios", scenarios, np.int32, copy=True)
    if column.size == 0:
        raise ValueError("scenarios: at least one column number is needed")
    if column[0] < 0 or column[-1] >= total or bool(np.any(column[1:] <= column[:-1])):
        raise ValueError(
            f"scenarios: column numbers must ascend without repeats within 0 to {total - 1}"
        )
    if int(column[-1]) - int(column[0]) + 1 == column.size:
        return int(column[0]), column.size, None
    return 0, column.size, frozen(column)
