"""Arithmetic that gives the same bits on every machine.

The exponentials and logarithms of NumPy and the C library differ between instruction sets and
platforms, and a sum depends on its order. Published numbers therefore use the functions here: each
is a fixed sequence of IEEE 754 additions, multiplications and divisions. The compiled and numba
kernels repeat the same sequences; tests check that they are equal to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Float, Integer

GRID = 2.0**-20
"""The grid of every P&L we build, USD (methodology, section 1)."""

# ln 2 in two parts: the high one has 33 significant bits, so n * LN2_HIGH is exact for |n| < 2^20.
LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
LOG2_E = float.fromhex("0x1.71547652b82fep+0")
EXP_LIMIT = 700.0
"""Largest magnitude of an argument of `exp`; a larger one raises an error."""

# 1/n!, highest power first: the remainder after x^13 is below 5e-18 for |x| <= ln(2)/2.
EXP_COEFFICIENTS = tuple(
    1.0 / f
    for f in (
        6227020800.0,
        479001600.0,
        39916800.0,
        3628800.0,
        362880.0,
        40320.0,
        5040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
    )
)
# 2/(2n+1), highest power first: the series of 2*artanh(s) for |s| <= 0.1716.
LOG_COEFFICIENTS = tuple(2.0 / n for n in range(23, 1, -2))
SQRT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")


def exp(x: npt.ArrayLike) -> Float:
    """Return e to the power of `x`, the same bits on every machine.

    Parameters
    ----------
    x : array_like of float
        Any shape; each value within +-700.

    Returns
    -------
    ndarray of float64
        Relative error below 2^-52.

    Raises
    ------
    ValueError
        A value is not a number or beyond +-700.

    Notes
    -----
    Cody-Waite reduction x = n ln 2 + r, |r| <= ln(2)/2, then the Taylor polynomial of degree 13 in
    Horner form. No fused multiply-add.
    """
    x = np.asarray(x, dtype=np.float64)
    if not bool(np.all(np.abs(x) <= EXP_LIMIT)):
        raise ValueError(f"exp: every argument must lie within +-{EXP_LIMIT:g}")
    n = np.rint(x * LOG2_E)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = np.full_like(r, EXP_COEFFICIENTS[0])
    for c in EXP_COEFFICIENTS[1:]:
        p = p * r + c
    # 1 + r + r^2 * p; the small terms are added first.
    return np.asarray(np.ldexp(1.0 + (r + (r * r) * p), n.astype(np.int32)))


def log(x: npt.ArrayLike) -> Float:
    """Return the natural logarithm of `x`, the same bits on every machine.

    Parameters
    ----------
    x : array_like of float
        Any shape; positive and finite.

    Returns
    -------
    ndarray of float64
        Absolute error below 2^-52 times max(1, abs(log x)).

    Raises
    ------
    ValueError
        A value is not positive and finite.

    Notes
    -----
    x = m 2^n with sqrt(1/2) <= m < sqrt(2); log m = 2 artanh(s), s = (m-1)/(m+1), as a series in s.
    """
    x = np.asarray(x, dtype=np.float64)
    if not bool(np.all((x > 0.0) & (x < np.inf))):
        raise ValueError("log: every argument must be positive and finite")
    m, n = np.frexp(x)
    low = m < SQRT_HALF
    m = np.where(low, m + m, m)
    exponent = (n - low).astype(np.float64)
    s = (m - 1.0) / (m + 1.0)
    s2 = s * s
    p = np.full_like(s, LOG_COEFFICIENTS[0])
    for c in LOG_COEFFICIENTS[1:]:
        p = p * s2 + c
    tail = (s * s2) * p + exponent * LN2_LOW
    return np.asarray(exponent * LN2_HIGH + (2.0 * s + tail))


def integer_power(base: npt.ArrayLike, n: npt.ArrayLike) -> Float:
    """Return `base` to the whole, non-negative power `n` by repeated squaring.

    Parameters
    ----------
    base : array_like of float
        Broadcast against `n`.
    n : array_like of int
        Exponents, zero or more.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    ValueError
        An exponent is negative.
    """
    bases, left = np.broadcast_arrays(np.asarray(base, np.float64), np.asarray(n, np.int64))
    if np.any(left < 0):
        raise ValueError("integer_power: exponents must not be negative")
    result = np.ones(bases.shape)
    square = bases.copy()
    while np.any(left > 0):
        np.multiply(result, square, out=result, where=(left & 1) == 1)
        left = left >> 1
        # Squared only where it is still needed, so that an unused square cannot overflow.
        np.multiply(square, square, out=square, where=left > 0)
    return result


def ordered_sum(x: npt.ArrayLike, axis: int = -1) -> Float:
    """Return the sum along `axis`, added one by one from the first to the last, starting at +0.0.

    Parameters
    ----------
    x : array_like of float
        At least one dimension.
    axis : int
        The axis that is added up.

    Returns
    -------
    ndarray of float64
        The shape of `x` without `axis`.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.shape[axis] == 0:
        return np.zeros(np.delete(np.asarray(x.shape), axis))
    # Unlike np.sum, cumsum is sequential by definition.
    return np.asarray(np.take(np.cumsum(x, axis=axis), -1, axis=axis) + 0.0)


def sum_of(values: Iterable[float]) -> float:
    """Return the sum of numbers, added one by one; the scalar form of `ordered_sum`.

    Parameters
    ----------
    values : iterable of float

    Returns
    -------
    float
        `sum` would carry a correction along from Python 3.12 on.
    """
    total = 0.0
    for value in values:
        total += value
    return total


def round_to_grid(x: npt.ArrayLike) -> Float:
    """Return `x` rounded half to even to a multiple of 2^-20, zeros as +0.0.

    Parameters
    ----------
    x : array_like of float
        USD.

    Returns
    -------
    ndarray of float64

    Notes
    -----
    Methodology, section 1: sums of P&L on the grid are exact.
    """
    return np.asarray(np.rint(np.asarray(x, np.float64) * 2.0**20) * GRID + 0.0)


def cents(x: npt.ArrayLike) -> Integer:
    """Return amounts as whole cents, rounded half up, exactly as decimal arithmetic would.

    Parameters
    ----------
    x : array_like of float
        USD, zero or more, below 9e13.

    Returns
    -------
    ndarray of int64

    Raises
    ------
    ValueError
        An amount is negative, too large or not a number.
    """
    x = np.asarray(x, dtype=np.float64)
    if not bool(np.all((x >= 0.0) & (x < 9e13))):
        raise ValueError("cents: every amount must be at least 0 and below 9e13 USD")
    product = x * 100.0
    # The exact error of the product (Veltkamp and Dekker): 100 has few bits, so x is split in two.
    split = x * 134217729.0
    high = split - (split - x)
    error = (high * 100.0 - product) + (x - high) * 100.0
    whole = np.floor(product)
    # product - whole - 1/2 is exact; only its sign together with the error's matters.
    up = ((product - whole) - 0.5) + error >= 0.0
    return np.asarray(whole.astype(np.int64) + up)


def cents_of(x: float) -> int:
    """Return one amount as whole cents, rounded half up; the scalar form of `cents`.

    Parameters
    ----------
    x : float
        USD, zero or more, below 9e13.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        The amount is negative, too large or not a number.
    """
    if 0.0 <= x < 4e10:
        up = x * 100.0 + 0.5
        whole = int(up)
        # Below 2^42 both roundings together are off by at most 2^-11.
        if 0.001 < up - whole < 0.999:
            return whole
    elif not 0.0 <= x < 9e13:
        raise ValueError("cents: every amount must be at least 0 and below 9e13 USD")
    product = x * 100.0
    whole = int(product)
    part = product - whole
    split = x * 134217729.0
    high = split - (split - x)
    error = (high * 100.0 - product) + (x - high) * 100.0
    return whole + ((part - 0.5) + error >= 0.0)


def cholesky(matrix: Float) -> Float:
    """Return the lower triangular L with L L' = `matrix`, [K x K].

    The matrix is positive semi-definite; where a pivot is not positive its column is zero.
    """
    size = matrix.shape[0]
    lower = np.zeros((size, size))
    for k in range(size):
        rest = matrix[k:, k] - ordered_sum(lower[k:, :k] * lower[k, :k])
        if rest[0] > 0.0:
            lower[k:, k] = rest / np.sqrt(rest[0])
    return lower
