"""The C++ kernels at the instruction set of this CPU, or the one that `XM_SIMD` names."""

from __future__ import annotations

import os
from typing import Any

from crossmargin.engine import _core
from crossmargin.engine.faults import Fault

VARIABLE = "XM_SIMD"


def level() -> str:
    """Return the instruction set that a call would use.

    Returns
    -------
    str
        `baseline`, `avx2`, `avx512` or `neon`: the best this CPU has, or what the environment
        variable `XM_SIMD` says. All give the same bits.

    Raises
    ------
    ValueError
        `XM_SIMD` names a level that is unknown or that this build or CPU does not support.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return _core.best_level()
    if wanted not in _core.levels():
        raise ValueError(
            f"{VARIABLE}: {wanted!r} is not supported here; one of {', '.join(_core.levels())}, or "
            "unset it"
        )
    return wanted


def segment_tails(*arguments: Any) -> Fault:
    """Measure tails; see the reference."""
    return _core.segment_tails(level(), *arguments)


def revalue(*arguments: Any) -> Fault:
    """Revalue instruments; see the reference."""
    return _core.revalue(level(), *arguments)


def taylor(*arguments: Any) -> Fault:
    """Evaluate polynomials; see the reference."""
    return _core.taylor(level(), *arguments)


def asked_book(*arguments: Any) -> _core.AskedBook:
    """Return a book that can be asked; see `engine.whatif`."""
    return _core.AskedBook(level(), *arguments)


# They have no levels.
spread_credits = _core.spread_credits
net_pairs = _core.net_pairs
