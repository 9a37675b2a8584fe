"""Checks of array arguments; every message names the argument and says what to do."""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Array, Float, Int32, Integer


def floats(name: str, value: npt.ArrayLike, ndim: int = 1, *, copy: bool = False) -> Float:
    """Return `value` as a C-ordered float64 array of finite numbers.

    Parameters
    ----------
    name : str
        What the messages call it.
    value : array_like
        Numbers with `ndim` dimensions.
    ndim : int
        The number of dimensions asked for.
    copy : bool
        Copy even where the values could be used in place.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    TypeError
        The values are not real numbers.
    ValueError
        Wrong number of dimensions, or a value is masked, NaN or infinite; the message names the
        element.
    """
    array = _unmasked(name, value)
    if not array.size:
        array = np.zeros(array.shape)  # empty arrays have any type
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: numbers expected, got dtype {array.dtype}")
    if array.ndim != ndim:
        raise ValueError(f"{name}: {ndim} dimension(s) expected, got {array.ndim}")
    with np.errstate(invalid="ignore"):  # a signalling NaN is refused below
        array = np.array(array, dtype=np.float64, order="C", copy=copy or None)
    if not bool(np.isfinite(array).all()):
        element = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(
            f"{name}: element {element.tolist()} is {array[tuple(element)]}; "
            "every value must be finite: drop or fill it first"
        )
    return array


def integers(
    name: str, value: npt.ArrayLike, dtype: type[np.signedinteger[Any]], *, copy: bool = False
) -> Array:
    """Return `value` as a contiguous vector of `dtype`; refuse values that would change.

    Parameters
    ----------
    name : str
        What the messages call it.
    value : array_like of int
        One dimension.
    dtype : type
        np.int8, np.int32 or np.int64.
    copy : bool
        Copy even where the values could be used in place.

    Returns
    -------
    ndarray of `dtype`

    Raises
    ------
    TypeError
        The values are not integers.
    ValueError
        Not one dimension, or a value is masked or does not fit `dtype`.
    """
    array = _unmasked(name, value)
    if array.ndim != 1:
        raise ValueError(f"{name}: one dimension expected, got {array.ndim}")
    if not array.size:
        return np.zeros(0, dtype)  # empty arrays have any type
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: integers expected, got dtype {array.dtype}; convert with astype")
    limits = np.iinfo(dtype)
    if int(array.min()) < limits.min or int(array.max()) > limits.max:
        raise ValueError(f"{name}: a value does not fit {np.dtype(dtype)}")
    return np.array(array, dtype=dtype, order="C", copy=copy or None)


def pointers(
    name: str, value: npt.ArrayLike, size: int, target: str, *, copy: bool = False
) -> Integer:
    """Return `value` as row pointers [N+1] over `size` elements of the array called `target`.

    Parameters
    ----------
    name, target : str
        What the messages call the pointers and the array they point into.
    value : array_like of int
        Begins with 0, never falls, ends with `size`.
    size : int
        The length of the target.
    copy : bool
        Copy even where the values could be used in place.

    Returns
    -------
    ndarray of int64

    Raises
    ------
    TypeError
        The values are not integers.
    ValueError
        They do not partition the target; the message names the row.
    """
    array = integers(name, value, np.int64, copy=copy)
    if array.size == 0 or array[0] != 0:
        raise ValueError(f"{name}: must start with 0")
    if array[-1] != size:
        raise ValueError(f"{name}: must end with {size}, the length of {target}, not {array[-1]}")
    falls = np.flatnonzero(array[1:] < array[:-1])
    if falls.size:
        raise ValueError(f"{name}: row {falls[0]} ends before it begins; pointers must not fall")
    return array


def indices(
    name: str, value: npt.ArrayLike, limit: int, lowest: int = 0, *, copy: bool = False
) -> Int32:
    """Return `value` as int32 indices within [lowest, limit).

    Parameters
    ----------
    name : str
        What the messages call it.
    value : array_like of int
        One dimension.
    limit : int
        Smallest value that is too large.
    lowest : int
        Smallest value allowed.
    copy : bool
        Copy even where the values could be used in place.

    Returns
    -------
    ndarray of int32

    Raises
    ------
    TypeError
        The values are not integers.
    ValueError
        An index is out of range; the message names the element.
    """
    array = integers(name, value, np.int32, copy=copy)
    outside = np.flatnonzero((array < lowest) | (array >= limit))
    if outside.size:
        i = outside[0]
        raise ValueError(f"{name}: element {i} is {array[i]}, outside {lowest} to {limit - 1}")
    return array


def whole(name: str, value: SupportsIndex) -> int:
    """Return a count: a whole number, 0 or more, that fits int32.

    Parameters
    ----------
    name : str
        What the messages call it.
    value : int
        A Python or NumPy integer.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        It is not an integer.
    ValueError
        It is negative or too large.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: a whole number expected, got {value!r}") from None
    if not 0 <= number <= np.iinfo(np.int32).max:
        raise ValueError(f"{name}: {number} is negative or too large")
    return number


def same_length(**arrays: Array) -> int:
    """Return the common length of the named arrays.

    Parameters
    ----------
    **arrays : ndarray
        Vectors by the name the message uses.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        The lengths differ.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            "lengths differ: " + ", ".join(f"{name} has {n}" for name, n in lengths.items())
        )
    return next(iter(lengths.values()))


def frozen(array: Array) -> Array:
    """Return `array` made read-only, together with the array it may be a view of."""
    if isinstance(array.base, np.ndarray):
        array.base.setflags(write=False)
    array.setflags(write=False)
    return array


def _unmasked(name: str, value: npt.ArrayLike) -> Array:
    """Return the values as an array; refuse masked ones, whose mask `asarray` would drop."""
    rows = value if isinstance(value, list | tuple) else [value]
    if any(np.ma.is_masked(row) for row in rows):
        raise ValueError(f"{name}: some values are masked; fill or drop them first")
    return np.asarray(value)
