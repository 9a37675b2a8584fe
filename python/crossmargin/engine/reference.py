"""The specification of every kernel, in plain NumPy: slow, and obvious.

The compiled and the numba kernels take the same arguments and give the same bits. Each kernel works
on a range [first, last), writes into arrays it is given, and returns a fault (`faults.py`).
"""

from __future__ import annotations

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Int8, Int16, Int32, Integer
from crossmargin.engine.faults import (
    AMOUNT_RANGE,
    EXPONENT_RANGE,
    OK,
    PNL_RANGE,
    SUM_NOT_FINITE,
    Fault,
)

GRID_LIMIT = 2.0**53
"""A P&L of this many grid steps or more is not held exactly."""


def segment_tails(
    first: int,
    last: int,
    row_ptr: Integer,
    column: Int32,
    quantity: Float,
    segments: int,
    union_ptr: Integer,
    union_segment: Int32,
    pnl: Float,
    largest: Float,
    start: int,
    count: int,
    k: int,
    w: float,
    order: Int32,
    narrow: Int16,
    by_scenario: Float,
    var: Float,
    es: Float,
    scenario: Int32,
) -> Fault:
    """Measure the tails of accounts [first, last) in every union of segments.

    Parameters
    ----------
    first, last : int
        The range of accounts.
    row_ptr, column, quantity : ndarray
        The book; its rows are account * segments + segment.
    segments : int
        Segments G of an account.
    union_ptr : ndarray of int64 [U + 1]
    union_segment : ndarray of int32
        The segments of each union, ascending.
    pnl : ndarray of float64 [I x .]
        USD, gain positive; columns start to start + count are used.
    largest : ndarray of float64 [I]
        A bound of each row's magnitude. Faster kernels skip the check for overflow by it.
    start, count : int
        The scenarios.
    k, w : int, float
        The size of the tail.
    order, narrow, by_scenario : ndarray
        The arrays of a `Screen`, or empty ones. Faster kernels use them; the answer is the same.
    var, es : ndarray of float64 [A x U]
        Results, USD, loss positive. `es` may be [A x 0]: not wanted.
    scenario : ndarray of int32 [A x U x k], or [A x U x 0] if not wanted
        Result: positions among the used scenarios, worst first.

    Returns
    -------
    Fault
        SUM_NOT_FINITE with account, union and scenario, or OK.

    Notes
    -----
    Methodology, section 1. The quantities of an instrument in the segments of a union are added
    first, in ascending segment order; the positions then in ascending instrument order, starting at
    +0.0, with one multiplication and one addition each.
    """
    for account in range(first, last):
        for union in range(len(union_ptr) - 1):
            members = union_segment[union_ptr[union] : union_ptr[union + 1]]
            rows = [slice(*row_ptr[account * segments + g + np.arange(2)]) for g in members]
            instrument, place = np.unique(
                np.concatenate([column[r] for r in rows]), return_inverse=True
            )
            net = np.zeros(len(instrument))
            np.add.at(net, place, np.concatenate([quantity[r] for r in rows]))

            total = np.zeros(count)
            with np.errstate(over="ignore", invalid="ignore"):
                for i, q in zip(instrument, net, strict=True):
                    total += q * pnl[i, start : start + count]
            infinite = np.flatnonzero(~np.isfinite(total))
            if infinite.size:
                return SUM_NOT_FINITE, account, union, int(infinite[0])

            # A stable sort keeps the lower scenario number first among equals.
            worst = np.argsort(total, kind="stable")[:k]
            loss = 0.0 - total[worst]
            var[account, union] = loss[-1]
            if es.size:
                with np.errstate(over="ignore"):
                    tail_sum = float(exact.ordered_sum(loss[:-1])) + (w - (k - 1)) * loss[-1]
                    shortfall = tail_sum / w + 0.0
                if not np.isfinite(shortfall):
                    return SUM_NOT_FINITE, account, union, int(worst[0])
                es[account, union] = max(shortfall, loss[-1])
            if scenario.size:
                scenario[account, union] = worst
    return OK


def revalue(
    first: int,
    last: int,
    exponent_ptr: Integer,
    exponent_factor: Int32,
    exponent_weight: Float,
    line_ptr: Integer,
    term_exponent: Int32,
    term_amount: Float,
    line_offset: Float,
    instrument_ptr: Integer,
    scale: Float,
    linear_factor: Int32,
    linear_loading: Float,
    shock: Float,
    pnl: Float,
) -> Fault:
    """Revalue every instrument in scenarios [first, last); see `crossmargin.engine.revalue`.

    Parameters
    ----------
    first, last : int
        The range of scenarios.
    exponent_ptr, exponent_factor, exponent_weight : ndarray
        u[m, s] = sum of weight * shock, in stored order from +0.0; E[m, s] = exp(-u[m, s]).
    line_ptr, term_exponent, term_amount, line_offset : ndarray
        A line is (sum of amount * E, in stored order from +0.0) + offset; its base has E = 1.
    instrument_ptr : ndarray of int64 [I + 1]
        The lines of each instrument; its value is their minimum.
    scale, linear_factor, linear_loading : ndarray [I]
        P = scale * (value - base value), plus loading * shock[s, factor] where factor >= 0.
    shock : ndarray of float64 [S x K]
        Changes of the factors.
    pnl : ndarray of float64 [I x S]
        Result, USD, on the grid of 2^-20.

    Returns
    -------
    Fault
        EXPONENT_RANGE with exponent and scenario, PNL_RANGE with instrument and scenario, or OK.
    """
    moves = shock[first:last]
    growth = np.zeros((len(exponent_ptr) - 1, last - first))
    with np.errstate(over="ignore", invalid="ignore"):
        for m in range(len(growth)):
            for e in range(exponent_ptr[m], exponent_ptr[m + 1]):
                growth[m] += exponent_weight[e] * moves[:, exponent_factor[e]]
            outside = np.flatnonzero(~(np.abs(growth[m]) <= exact.EXP_LIMIT))
            if outside.size:
                return EXPONENT_RANGE, m, 0, first + int(outside[0])
        discount = exact.exp(-growth)

        for i in range(len(instrument_ptr) - 1):
            lines = range(instrument_ptr[i], instrument_ptr[i + 1])
            value = np.full(last - first, np.inf)
            base = np.float64(np.inf)
            for j in lines:
                total = np.zeros(last - first)
                base_total = 0.0
                for t in range(line_ptr[j], line_ptr[j + 1]):
                    total += term_amount[t] * discount[term_exponent[t]]
                    base_total += term_amount[t]
                value = np.minimum(value, total + line_offset[j])
                base = np.minimum(base, base_total + line_offset[j])
            change = scale[i] * (value - base)
            if linear_factor[i] >= 0:
                change = change + linear_loading[i] * moves[:, linear_factor[i]]
            fault = _round_into(pnl[i, first:last], change, i, first)
            if fault != OK:
                return fault
    return OK


def taylor(
    first: int,
    last: int,
    poly_ptr: Integer,
    poly_feature: Int32,
    poly_coefficient: Float,
    shock: Float,
    pnl: Float,
) -> Fault:
    """Evaluate polynomials of second order in scenarios [first, last).

    Parameters
    ----------
    first, last : int
        The range of scenarios.
    poly_ptr, poly_feature, poly_coefficient : ndarray
        P = sum of coefficient * feature, in stored order from +0.0.
    shock : ndarray of float64 [S x K]
        Feature f < K is shock_f; then come the products shock_k * shock_l, k <= l, in
        lexicographic order.
    pnl : ndarray of float64 [I x S]
        Result, USD, on the grid of 2^-20.

    Returns
    -------
    Fault
        PNL_RANGE with instrument and scenario, or OK.
    """
    moves = shock[first:last].T
    with np.errstate(over="ignore", invalid="ignore"):
        pairs = [moves[k] * moves[n] for k in range(len(moves)) for n in range(k, len(moves))]
        feature = [*moves, *pairs]
        for i in range(len(poly_ptr) - 1):
            total = np.zeros(last - first)
            for t in range(poly_ptr[i], poly_ptr[i + 1]):
                total += poly_coefficient[t] * feature[poly_feature[t]]
            fault = _round_into(pnl[i, first:last], total, i, first)
            if fault != OK:
                return fault
    return OK


def spread_credits(
    first: int,
    last: int,
    leg_ptr: Integer,
    leg_commodity: Int32,
    leg_ratio: Float,
    leg_side: Int8,
    rate: Float,
    net_delta: Float,
    scan_risk: Float,
    count: Float,
    credit: Float,
    remaining: Float,
) -> Fault:
    """Form inter-commodity spreads for accounts [first, last).

    Parameters
    ----------
    first, last : int
        The range of accounts.
    leg_ptr : ndarray of int64 [P + 1]
        The legs of each spread, spreads in order of priority; of both sides, no commodity twice.
    leg_commodity, leg_ratio, leg_side : ndarray
        A leg's commodity, its delta in one spread (> 0), and its side: +1 or -1 (int8).
    rate : ndarray of float64 [P]
        The share of the scan risk that is credited.
    net_delta : ndarray of float64 [A x C]
        Long positive.
    scan_risk : ndarray of float64 [A x C]
        USD.
    count, credit : ndarray of float64 [A x P]
        Results: spreads formed, and USD.
    remaining : ndarray of float64 [A x C]
        Result: the delta that no spread has used.

    Returns
    -------
    Fault
        AMOUNT_RANGE with account and spread, or OK.

    Notes
    -----
    A leg alone could form (side * remaining delta) / ratio spreads. They form where these quotients
    are all above zero or all below it, and their number n is the smallest magnitude. A leg that
    could form no more has all of its remaining delta used; any other n * ratio of it, which rounds
    to no more than it has. Credits of the legs, ((used / |net delta|) * scan risk) * rate, are
    added in stored order from +0.0.
    """
    remaining[first:last] = net_delta[first:last] + 0.0
    for account in range(first, last):
        left = remaining[account]
        for spread in range(len(rate)):
            legs = slice(leg_ptr[spread], leg_ptr[spread + 1])
            commodity, ratio = leg_commodity[legs], leg_ratio[legs]
            available, original = np.abs(left[commodity]), np.abs(net_delta[account, commodity])
            n = total = 0.0
            with np.errstate(over="ignore"):
                possible = leg_side[legs] * left[commodity] / ratio
                if (possible > 0).all() or (possible < 0).all():
                    n = float(np.abs(possible).min())
                    used = np.where(np.abs(possible) == n, available, n * ratio)
                    share = used / original
                    each = share * scan_risk[account, commodity] * rate[spread]
                    total = float(exact.ordered_sum(each))
                    left[commodity] -= np.copysign(used, left[commodity])
            if not (np.isfinite(n) and np.isfinite(total)):
                return AMOUNT_RANGE, account, spread, 0
            count[account, spread] = n
            credit[account, spread] = total
    return OK


def net_pairs(
    first: int,
    last: int,
    a: Int32,
    b: Int32,
    weight: Float,
    long_held: Float,
    short_held: Float,
    count: Float,
    amount: Float,
    long_left: Float,
    short_left: Float,
) -> Fault:
    """Offset long and short holdings of accounts [first, last), pair by pair.

    Parameters
    ----------
    first, last : int
        The range of accounts.
    a, b : ndarray of int32 [Q]
        Two columns of the holdings for each pair, pairs in order; the same one twice is allowed.
    weight : ndarray of float64 [Q]
        USD for each unit offset.
    long_held, short_held : ndarray of float64 [A x T]
        Not below zero.
    count, amount : ndarray of float64 [A x Q]
        Results: units offset, and count * weight.
    long_left, short_left : ndarray of float64 [A x T]
        Results: what no pair has offset.

    Returns
    -------
    Fault
        AMOUNT_RANGE with account and pair, or OK.

    Notes
    -----
    For each pair n = min(long of a, short of b) is taken from both; then, where b is not a,
    m = min(short of a, long of b) likewise. The count is n + m.
    """
    long_left[first:last] = long_held[first:last] + 0.0
    short_left[first:last] = short_held[first:last] + 0.0
    for account in range(first, last):
        for pair in range(len(weight)):
            total = 0.0
            directions = [(long_left, a[pair], short_left, b[pair])]
            if a[pair] != b[pair]:
                directions.append((short_left, a[pair], long_left, b[pair]))
            for x, i, y, j in directions:
                n = min(x[account, i], y[account, j])
                x[account, i] -= n
                y[account, j] -= n
                with np.errstate(over="ignore"):
                    total += n
            with np.errstate(over="ignore", invalid="ignore"):
                value = total * weight[pair] + 0.0
            if not (np.isfinite(total) and np.isfinite(value)):
                return AMOUNT_RANGE, account, pair, 0
            count[account, pair] = total
            amount[account, pair] = value
    return OK


def _round_into(target: Float, value: Float, instrument: int, first: int) -> Fault:
    """Round to the grid, half to even, zeros as +0.0; or name the value that is out of range."""
    outside = np.flatnonzero(~(np.abs(value) * 2.0**20 < GRID_LIMIT))
    if outside.size:
        return PNL_RANGE, instrument, 0, first + int(outside[0])
    target[:] = exact.round_to_grid(value)
    return OK
