"""Types of the arrays that functions take and return, and the buckets that values fall into.

The shapes are in the docstrings of the functions.

Axes: A accounts, G groups (an account at one clearing firm), I instruments, S scenarios, K factors,
B buckets, N rows of whatever a table holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Dates = npt.NDArray[np.datetime64]
Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Int8 = npt.NDArray[np.int8]
Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]
Integer = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Text = npt.NDArray[np.object_]


def bucket_of(value: npt.ArrayLike, end: npt.ArrayLike) -> Integer:
    """Return the bucket of each value, [N]: upper ends are included, the last bucket has no end.

    Parameters
    ----------
    value : array_like, [N]
        Numbers or dates.
    end : array_like, [B]
        Upper ends, ascending.
    """
    ends = np.asarray(end)
    return np.minimum(np.searchsorted(ends, np.asarray(value), side="left"), ends.size - 1)
