"""Every instrument resolved to the same form: sums of discounted amounts.

The value of any instrument under a shift x of the zero rates is

    value(x) = min over its lines of [offset + sum over the line's terms of amount * exp(-u . x)]

A note has one line with a term for each cash flow. Its exponents are u = t * w(t), where w(t)
spreads a shift at time t over the factors. A futures contract has a line for each deliverable bond,
with u = t w(t) - d w(d), because its flows are valued at the last delivery day d. The kernels know
only this form, and the exact gradient and Hessian follow from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Int32, Integer
from crossmargin.market.curve import NODES, Curve, FactorCurve, LinearShifts, Shifts


@dataclass(frozen=True)
class Line:
    """One way to value an instrument, before discounting.

    Attributes
    ----------
    flow : ndarray of float64, [n]
        Amounts paid, price points.
    time : ndarray of float64, [n]
        When they are paid, years.
    horizon : ndarray of float64, [n]
        Time at which each flow is valued, years: zero for a spot value.
    spread : float
        Continuous z-spread added in discounting.
    offset : float
        A constant, price points.
    short_rate : bool
        Whether the market's short-rate curve discounts it and its factors move it, in place of the
        Treasury's.
    """

    flow: Float
    time: Float
    horizon: Float
    spread: float = 0.0
    offset: float = 0.0
    short_rate: bool = False


NOTHING = Line(np.empty(0), np.empty(0), np.empty(0))
"""The line of an instrument that no model covers."""


@dataclass(frozen=True)
class Terms:
    """Instruments resolved against a curve, as flat arrays.

    Attributes
    ----------
    exponent_ptr : ndarray of int64, [M + 1]
    exponent_factor : ndarray of int32
    exponent_weight : ndarray of float64
        The vectors u, sparse over the factors, factors ascending.
    line_ptr : ndarray of int64, [L + 1]
    term_exponent : ndarray of int32, [N]
    term_amount : ndarray of float64, [N]
    line_offset : ndarray of float64, [L]
    instrument_ptr : ndarray of int64, [I + 1]
        Instrument i has lines instrument_ptr[i]:instrument_ptr[i+1].
    scale : ndarray of float64, [I]
        USD per price point and lot or contract.
    linear_ptr : ndarray of int64, [I + 1]
    linear_factor : ndarray of int32
        Factors that move the instrument linearly, such as its basis.
    linear_loading : ndarray of float64
        USD per unit of that factor.
    """

    exponent_ptr: Integer
    exponent_factor: Int32
    exponent_weight: Float
    line_ptr: Integer
    term_exponent: Int32
    term_amount: Float
    line_offset: Float
    instrument_ptr: Integer
    scale: Float
    linear_ptr: Integer
    linear_factor: Int32
    linear_loading: Float

    @property
    def line_amount(self) -> Float:
        """Sum of each line's amounts, without its offset, [L]: price points."""
        return _sum_by(self.line_ptr, self.term_amount)

    @property
    def line_value(self) -> Float:
        """Value of each line without a shift, [L]: price points."""
        return self.line_amount + self.line_offset

    @property
    def base_line(self) -> Integer:
        """Index of the line with each instrument's smallest value without a shift, [I]."""
        value = self.line_value
        first = self.instrument_ptr[:-1]
        lowest = np.minimum.reduceat(value, first)
        at_minimum = np.flatnonzero(value == np.repeat(lowest, np.diff(self.instrument_ptr)))
        return at_minimum[np.searchsorted(at_minimum, first)]

    def with_linear(self, factor: Int32, loading: Float) -> Terms:
        """Return the same instruments with linear factors.

        Parameters
        ----------
        factor : ndarray of int32, [I x N]
            In the order in which their P&L is added; -1 for none.
        loading : ndarray of float64, [I x N]
            USD per unit of each factor.
        """
        loads = factor >= 0
        return replace(
            self,
            linear_ptr=_ptr(np.count_nonzero(loads, axis=1)),
            linear_factor=factor[loads],
            linear_loading=loading[loads],
        )

    def of_instruments(self, instrument: Integer) -> Terms:
        """Return some instruments with all their lines, and no exponents but theirs.

        Parameters
        ----------
        instrument : ndarray of int64, [N]
            Indices, in the order wanted.
        """
        line = _ranges(self.instrument_ptr, instrument)
        term = _ranges(self.line_ptr, line)
        used, exponent = np.unique(self.term_exponent[term], return_inverse=True)
        entry = _ranges(self.exponent_ptr, used.astype(np.int64))
        load = _ranges(self.linear_ptr, instrument)
        return Terms(
            _ptr(np.diff(self.exponent_ptr)[used]),
            self.exponent_factor[entry],
            self.exponent_weight[entry],
            _ptr(np.diff(self.line_ptr)[line]),
            exponent.astype(np.int32),
            self.term_amount[term],
            self.line_offset[line],
            _ptr(np.diff(self.instrument_ptr)[instrument]),
            self.scale[instrument],
            _ptr(np.diff(self.linear_ptr)[instrument]),
            self.linear_factor[load],
            self.linear_loading[load],
        )

    def only_lines(self, line: Integer) -> Terms:
        """Return the same instruments, each with the given line alone, [I]."""
        term = _ranges(self.line_ptr, line)
        return Terms(
            self.exponent_ptr,
            self.exponent_factor,
            self.exponent_weight,
            _ptr(np.diff(self.line_ptr)[line]),
            self.term_exponent[term],
            self.term_amount[term],
            self.line_offset[line],
            np.arange(line.size + 1),
            self.scale,
            self.linear_ptr,
            self.linear_factor,
            self.linear_loading,
        )


@dataclass(frozen=True)
class Sensitivities:
    """Exact first and second derivatives of each instrument's base line, without a shift.

    Attributes
    ----------
    gradient : ndarray of float64, [I x K]
        USD per unit of each factor and lot or contract.
    hessian : ndarray of float64, [I x K x K]
        USD per unit squared, symmetric.
    """

    gradient: Float
    hessian: Float

    @property
    def dv01(self) -> Float:
        """USD gained when the curve falls by one basis point, [I]."""
        return -exact.ordered_sum(self.gradient, axis=1) * 1e-4


def resolve(
    lines: Sequence[Line],
    lines_of: Sequence[int],
    curve: Curve,
    scale: Float,
    short_rates: FactorCurve | None = None,
) -> Terms:
    """Return the terms of all lines: their flows discounted and laid out as flat arrays.

    Parameters
    ----------
    lines : sequence of Line, [L]
        Lines of the first instrument, then of the second, and so on.
    lines_of : sequence of int, [I]
        Number of lines of each instrument, at least one.
    curve : Curve
        Discounts the flows: amount = flow * DF(time) / DF(horizon) * exp(-spread * time).
    scale : ndarray of float64, [I]
        As in `Terms`.
    short_rates : FactorCurve, optional
        Discounts the lines marked `short_rate`.

    Returns
    -------
    Terms
        Without linear factors.
    """
    size = np.array([line.flow.size for line in lines], dtype=np.int64)
    time = np.concatenate([line.time for line in lines])
    horizon = np.concatenate([line.horizon for line in lines])
    flow = np.concatenate([line.flow for line in lines])
    spread = np.repeat([line.spread for line in lines], size)
    short = np.repeat(np.array([line.short_rate for line in lines], dtype=np.bool_), size)
    exponent = np.empty(time.size, dtype=np.int32)
    amount = np.empty(time.size)
    count: list[Integer] = []
    factor: list[Int32] = []
    weight: list[Float] = []
    curves = [FactorCurve(curve, LinearShifts(NODES), 0)]
    curves += [] if short_rates is None else [short_rates]
    for own, mine in zip(curves, (~short, short), strict=False):
        # Complex numbers sort by their real parts, then by their imaginary parts.
        pair, at = np.unique(horizon[mine] + 1j * time[mine], return_inverse=True)
        before, after = pair.real, pair.imag
        exponent[mine] = at + sum(entries.size for entries in count)
        discount = own.curve.discount_factor(after) / own.curve.discount_factor(before)
        amount[mine] = flow[mine] * discount[at]
        entries, node, u = _exponents(after, before, own.shifts)
        count.append(entries)
        factor.append((own.first + node).astype(np.int32))
        weight.append(u)
    spread_out = spread != 0.0
    amount[spread_out] *= exact.exp(-spread[spread_out] * time[spread_out])
    return Terms(
        exponent_ptr=_ptr(np.concatenate(count)),
        exponent_factor=np.concatenate(factor),
        exponent_weight=np.concatenate(weight),
        line_ptr=_ptr(size),
        term_exponent=exponent,
        term_amount=amount,
        line_offset=np.array([line.offset for line in lines]),
        instrument_ptr=_ptr(np.asarray(lines_of, dtype=np.int64)),
        scale=scale,
        linear_ptr=np.zeros(len(lines_of) + 1, np.int64),
        linear_factor=np.empty(0, np.int32),
        linear_loading=np.empty(0),
    )


def sensitivities(terms: Terms, nodes: int) -> Sensitivities:
    """Return the gradient and Hessian of instruments that have one line each.

    Parameters
    ----------
    terms : Terms
        As returned by `Terms.only_lines`.
    nodes : int
        Number of curve factors K, which come first. Linear factors are not part of the result.

    Returns
    -------
    Sensitivities

    Notes
    -----
    d value / dx_k = -sum of amount * u_k, d2 value / dx_k dx_l = sum of amount * u_k * u_l.
    """
    instruments = terms.scale.size
    instrument = np.repeat(np.arange(instruments), np.diff(terms.line_ptr))
    amount = terms.term_amount * terms.scale[instrument]
    first, second = terms.exponent_ptr[:-1], np.diff(terms.exponent_ptr)
    gradient = np.zeros(instruments * nodes)
    hessian = np.zeros(instruments * nodes * nodes)
    # Between linear shifts an exponent has at most four weights: two nodes for the flow and two for
    # the horizon.
    for a in range(int(second.max(initial=0))):
        has_a = second[terms.term_exponent] > a
        at_a = first[terms.term_exponent[has_a]] + a
        k, u_k = terms.exponent_factor[at_a], terms.exponent_weight[at_a]
        row = instrument[has_a]
        gradient -= np.bincount(row * nodes + k, amount[has_a] * u_k, instruments * nodes)
        for b in range(int(second.max())):
            both = second[terms.term_exponent[has_a]] > b
            at_b = first[terms.term_exponent[has_a][both]] + b
            cell = (row[both] * nodes + k[both]) * nodes + terms.exponent_factor[at_b]
            product = u_k[both] * terms.exponent_weight[at_b]
            hessian += np.bincount(cell, amount[has_a][both] * product, instruments * nodes * nodes)
    return Sensitivities(
        gradient.reshape(instruments, nodes) + 0.0,
        hessian.reshape(instruments, nodes, nodes) + 0.0,
    )


def spread_sensitivities(terms: Terms, lines: Sequence[Line]) -> Float:
    """Return the derivative of each instrument's base line by a spread over the curve, [I].

    Parameters
    ----------
    terms : Terms
        As `resolve` returned them.
    lines : sequence of Line, [L]
        As `resolve` took them.

    Returns
    -------
    ndarray of float64
        USD per unit of a continuous spread of all flows, minus the sum of time * amount. Times
        count from the as-of date, those of a future too.
    """
    time = np.concatenate([line.time for line in lines])
    slope = _sum_by(terms.line_ptr, terms.term_amount * time)
    return np.asarray(0.0 - terms.scale * slope[terms.base_line])


def _exponents(time: Float, horizon: Float, shifts: Shifts) -> tuple[Integer, Integer, Float]:
    """Return u = weights(time) - weights(horizon), sparse: counts by row, factors, weights."""
    u = shifts.weights(time) - shifts.weights(horizon)
    row, factor = np.nonzero(u)
    return np.bincount(row, minlength=time.size), factor, u[row, factor]


def _ptr(count: Integer) -> Integer:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])


def _ranges(ptr: Integer, index: Integer) -> Integer:
    """Return the elements of the runs at these indices, one run after the other."""
    count = np.diff(ptr)[index]
    new = _ptr(count)
    return np.asarray(np.repeat(ptr[index] - new[:-1], count) + np.arange(new[-1]))


def _sum_by(ptr: Integer, value: Float) -> Float:
    """Sum each run of `value` in order from +0.0."""
    run = np.repeat(np.arange(ptr.size - 1), np.diff(ptr))
    return np.asarray(np.bincount(run, value, ptr.size - 1), dtype=np.float64)
