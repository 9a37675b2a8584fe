"""Types of the arrays that functions take and return; the shapes are in their docstrings.

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
