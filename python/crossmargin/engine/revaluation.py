"""P&L from terms and shocks: full revaluation, and polynomials of second order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Float, Int32, Integer
from crossmargin.engine.arguments import Polynomials, TermArrays
from crossmargin.engine.arrays import floats, indices, pointers, same_length
from crossmargin.engine.backends import kernels
from crossmargin.engine.executor import run_blocks
from crossmargin.engine.faults import EXPONENT_RANGE, NONE, Fault

BLOCK_SCENARIOS = 128
"""Scenarios in a block of work."""


class Terms(Protocol):
    """The arrays that `revalue` reads: instruments as exponentials of the factors.

    Attributes
    ----------
    exponent_ptr : ndarray of int64 [M + 1]
    exponent_factor : ndarray of int32
    exponent_weight : ndarray of float64
        Exponent m of scenario s is u[m, s], the sum of weight * shock[s, factor] over its entries.
    line_ptr : ndarray of int64 [L + 1]
    term_exponent : ndarray of int32
    term_amount : ndarray of float64
    line_offset : ndarray of float64 [L]
        Line l of scenario s is the sum of amount * exp(-u) over its terms, plus the offset.
    instrument_ptr : ndarray of int64 [I + 1]
        The lines of each instrument, at least one. Its value is the smallest.
    scale : ndarray of float64 [I]
        USD per unit of value.
    linear_ptr : ndarray of int64 [I + 1]
    linear_factor : ndarray of int32
    linear_loading : ndarray of float64
        The factors that add P&L of their own to each instrument, and USD per unit of each.
    """

    @property
    def exponent_ptr(self) -> Integer: ...  # noqa: D102
    @property
    def exponent_factor(self) -> Int32: ...  # noqa: D102
    @property
    def exponent_weight(self) -> Float: ...  # noqa: D102
    @property
    def line_ptr(self) -> Integer: ...  # noqa: D102
    @property
    def term_exponent(self) -> Int32: ...  # noqa: D102
    @property
    def term_amount(self) -> Float: ...  # noqa: D102
    @property
    def line_offset(self) -> Float: ...  # noqa: D102
    @property
    def instrument_ptr(self) -> Integer: ...  # noqa: D102
    @property
    def scale(self) -> Float: ...  # noqa: D102
    @property
    def linear_ptr(self) -> Integer: ...  # noqa: D102
    @property
    def linear_factor(self) -> Int32: ...  # noqa: D102
    @property
    def linear_loading(self) -> Float: ...  # noqa: D102


def revalue(
    terms: Terms, shock: npt.ArrayLike, *, threads: int | None = None, backend: str = "auto"
) -> Float:
    """Return the P&L of instruments, revalued in full under each scenario.

    Parameters
    ----------
    terms : Terms
        The instruments; any object with these arrays.
    shock : array_like of float [S x K]
        Changes of the factors, decimal.
    threads : int, optional
        All the process may use if not given.
    backend : {"auto", "native", "numba", "reference"}
        They give the same bits.

    Returns
    -------
    ndarray of float64 [I x S]
        P&L, USD, gain positive, on the grid of 2^-20 USD.

    Raises
    ------
    TypeError, ValueError
        An array is not as described in `Terms`, an exponent is outside +-700, or a P&L is not
        finite or above 8.6 billion USD; the message names the element.

    Notes
    -----
    With u[m, s] = sum of weight * shock and E = exp(-u) by `crossmargin.exact.exp`:
    line = (sum of amount * E) + offset, value = the smallest line of the instrument,
    P = scale * (value - value at E = 1), to which loading * shock of each linear factor is added.
    Sums run in stored order, those of exponents and lines from +0.0, without contraction. P is
    rounded half to even to the grid (methodology, section 1).
    """
    shock = floats("shock", shock, ndim=2)
    arrays = _check_terms(terms, shock.shape[1])
    kernel = kernels(backend).revalue
    return _evaluate(partial(kernel, terms=arrays), arrays.instruments, shock, threads)


def taylor(
    poly_ptr: npt.ArrayLike,
    poly_feature: npt.ArrayLike,
    poly_coefficient: npt.ArrayLike,
    shock: npt.ArrayLike,
    *,
    threads: int | None = None,
    backend: str = "auto",
) -> Float:
    """Return the P&L of instruments given as polynomials of second order in the shocks.

    Parameters
    ----------
    poly_ptr : array_like of int [I + 1]
        Where the terms of each instrument begin.
    poly_feature : array_like of int [N]
        f < K means shock_f; `feature_index` gives the number of a product.
    poly_coefficient : array_like of float [N]
        USD per unit of the feature, which includes the factor 1/2 of second derivatives.
    shock : array_like of float [S x K]
        Changes of the factors, decimal.
    threads : int, optional
        All the process may use if not given.
    backend : {"auto", "native", "numba", "reference"}
        They give the same bits.

    Returns
    -------
    ndarray of float64 [I x S]
        P&L, USD, gain positive, on the grid of 2^-20 USD.

    Raises
    ------
    TypeError, ValueError
        An array is not as described, or a P&L is not finite or above 8.6 billion USD; the message
        names the element.

    Notes
    -----
    P = sum of coefficient * feature in stored order from +0.0, without contraction, rounded half to
    even to the grid (methodology, sections 1 and 5).
    """
    shock = floats("shock", shock, ndim=2)
    factors = shock.shape[1]
    feature = indices("poly_feature", poly_feature, factors + factors * (factors + 1) // 2)
    coefficient = floats("poly_coefficient", poly_coefficient)
    same_length(poly_feature=feature, poly_coefficient=coefficient)
    ptr = pointers("poly_ptr", poly_ptr, len(feature), "poly_feature")
    polynomials = Polynomials(ptr, feature, coefficient)
    kernel = kernels(backend).taylor
    return _evaluate(partial(kernel, polynomials=polynomials), len(ptr) - 1, shock, threads)


def feature_index(k: npt.ArrayLike, l: npt.ArrayLike, factors: int) -> Integer:  # noqa: E741
    """Return the number of the feature shock_k * shock_l in `taylor`.

    Parameters
    ----------
    k, l : array_like of int
        Factors, k <= l, broadcast.
    factors : int
        The number of factors K.

    Returns
    -------
    ndarray of int64
        K plus the place of (k, l) among the pairs k <= l in lexicographic order.

    Raises
    ------
    ValueError
        Not 0 <= k <= l < K.
    """
    k, l = np.broadcast_arrays(np.asarray(k, np.int64), np.asarray(l, np.int64))  # noqa: E741
    if not bool(np.all((k >= 0) & (k <= l) & (l < factors))):
        raise ValueError(f"feature_index: 0 <= k <= l < {factors} expected, got {k} and {l}")
    return np.asarray(factors + k * factors - k * (k - 1) // 2 + (l - k))


def _check_terms(terms: Terms, factors: int) -> TermArrays:
    """Return the arrays of the terms, checked."""
    exponent_factor = indices("exponent_factor", terms.exponent_factor, factors)
    exponent_weight = floats("exponent_weight", terms.exponent_weight)
    entries = same_length(exponent_factor=exponent_factor, exponent_weight=exponent_weight)
    exponent_ptr = pointers("exponent_ptr", terms.exponent_ptr, entries, "exponent_factor")

    term_exponent = indices("term_exponent", terms.term_exponent, len(exponent_ptr) - 1)
    term_amount = floats("term_amount", terms.term_amount)
    count = same_length(term_exponent=term_exponent, term_amount=term_amount)
    line_ptr = pointers("line_ptr", terms.line_ptr, count, "term_exponent")
    line_offset = floats("line_offset", terms.line_offset)
    lines = same_length(line_ptr=line_ptr[1:], line_offset=line_offset)

    instrument_ptr = pointers("instrument_ptr", terms.instrument_ptr, lines, "line_offset")
    empty = np.flatnonzero(instrument_ptr[1:] == instrument_ptr[:-1])
    if empty.size:
        raise ValueError(
            f"instrument_ptr: instrument {empty[0]} has no line; it needs at least one"
        )
    scale = floats("scale", terms.scale)
    linear_factor = indices("linear_factor", terms.linear_factor, factors)
    linear_loading = floats("linear_loading", terms.linear_loading)
    loads = same_length(linear_factor=linear_factor, linear_loading=linear_loading)
    linear_ptr = pointers("linear_ptr", terms.linear_ptr, loads, "linear_factor")
    same_length(
        instrument_ptr=instrument_ptr[1:],
        scale=scale,
        linear_ptr=linear_ptr[1:],
    )
    return TermArrays(
        exponent_ptr,
        exponent_factor,
        exponent_weight,
        line_ptr,
        term_exponent,
        term_amount,
        line_offset,
        instrument_ptr,
        scale,
        linear_ptr,
        linear_factor,
        linear_loading,
    )


def _evaluate(
    kernel: Callable[..., Fault], instruments: int, shock: Float, threads: int | None
) -> Float:
    """Return the P&L from a kernel run over blocks of scenarios; raise the fault it reports."""
    pnl = np.empty((instruments, len(shock)))

    def block(first: int, last: int) -> None:
        kind, element, _, scenario = kernel(first, last, shock=shock, pnl=pnl)
        if kind == EXPONENT_RANGE:
            raise ValueError(
                f"exponent {element}, scenario {scenario}: outside +-700; check the unit of the "
                "shocks (decimal, not percent)"
            )
        if kind != NONE:
            raise ValueError(
                f"instrument {element}, scenario {scenario}: the P&L is not finite or above "
                "8.6 billion USD, where the grid of 2^-20 USD ends"
            )

    bounds = [*range(0, len(shock), BLOCK_SCENARIOS), len(shock)]
    run_blocks(block, bounds, threads=threads, unit="scenarios")
    return pnl
