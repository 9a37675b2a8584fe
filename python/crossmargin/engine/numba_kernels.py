"""The kernels in numba: the fallback if the extension is missing.

The functions have the signatures of `reference`. The executor's threads call them, and the compiled
functions behind them release the GIL. Without fastmath and contraction their bits are those of the
reference. They are compiled on first use and kept in memory only: a cache on disk could be stale,
or shared between machines.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from crossmargin.engine.faults import AMOUNT_RANGE, EXPONENT_RANGE, NONE, PNL_RANGE, SUM_NOT_FINITE
from crossmargin.exact import EXP_COEFFICIENTS, EXP_LIMIT, LN2_HIGH, LN2_LOW, LOG2_E

jit = numba.njit(nogil=True, error_model="numpy")

TILE = 32
"""Scenarios in a tile, few enough that their data stay in cache."""
LOWEST_POWER = -1012
POWERS = 2.0 ** np.arange(LOWEST_POWER, 1013)
"""2^n for every n that exp can need."""
COEFFICIENTS = np.array(EXP_COEFFICIENTS)


def segment_tails(first, last, book, unions, measure, result):
    """Measure the tails of accounts [first, last); see the reference."""
    return _segment_tails(
        first,
        last,
        book.row_ptr,
        book.column,
        book.quantity,
        *unions,
        measure.pnl,
        measure.cube.largest,
        measure.start,
        measure.count,
        measure.k,
        measure.w,
        *result,
    )


def revalue(first, last, terms, shock, pnl):
    """Revalue every instrument in scenarios [first, last); see the reference."""
    return _revalue(first, last, *terms, shock, pnl)


def taylor(first, last, polynomials, shock, pnl):
    """Evaluate polynomials of second order in scenarios [first, last); see the reference."""
    return _taylor(first, last, *polynomials, shock, pnl)


def spread_credits(first, last, spreads, net_delta, scan_risk, result):
    """Form inter-commodity spreads for accounts [first, last); see the reference."""
    return _spread_credits(first, last, *spreads, net_delta, scan_risk, *result)


def net_pairs(first, last, pairs, long_held, short_held, result):
    """Offset long and short holdings of accounts [first, last); see the reference."""
    return _net_pairs(first, last, *pairs, long_held, short_held, *result)


def box_tails(first, last, pnl, base, windows, boxes, result):
    """Bound VaR over boxes [first, last); see the reference."""
    _box_tails(first, last, pnl, base, *windows, *boxes, *result)


@jit
def _segment_tails(
    first,
    last,
    row_ptr,
    column,
    quantity,
    segments,
    union_ptr,
    union_segment,
    pnl,
    largest,
    start,
    count,
    k,
    w,
    var,
    es,
    scenario,
):
    """Measure tails: net an account's positions, sum their P&L, keep the worst sums."""
    widest = 0
    for account in range(first, last):
        lines = row_ptr[(account + 1) * segments] - row_ptr[account * segments]
        widest = max(widest, lines)
    instrument = np.empty(widest, np.int32)
    net = np.empty(widest, np.float64)
    cursor = np.empty(segments, np.int64)
    total = np.empty(count, np.float64)
    kept_pnl = np.empty(k, np.float64)
    kept_scenario = np.empty(k, np.int32)

    for account in range(first, last):
        for union in range(len(union_ptr) - 1):
            members = union_segment[union_ptr[union] : union_ptr[union + 1]]
            size = _net(
                account * segments, members, row_ptr, column, quantity, cursor, instrument, net
            )
            total[:] = 0.0
            bound = 0.0
            for n in range(size):
                row = pnl[instrument[n], start : start + count]
                q = net[n]
                bound += abs(q) * largest[instrument[n]]
                for s in range(count):
                    total[s] += q * row[s]
            # Below the bound no sum can overflow float64.
            if not bound < 1e300:
                for s in range(count):
                    if not np.isfinite(total[s]):
                        return SUM_NOT_FINITE, account, union, s

            _keep_worst(total, kept_pnl, kept_scenario)
            loss = 0.0 - kept_pnl[k - 1]
            var[account, union] = loss
            if es.shape[1] > 0:
                tail_sum = 0.0
                for n in range(k - 1):
                    tail_sum += 0.0 - kept_pnl[n]
                tail_sum += (w - (k - 1)) * loss
                shortfall = tail_sum / w + 0.0
                if not np.isfinite(shortfall):
                    return SUM_NOT_FINITE, account, union, np.int64(kept_scenario[0])
                es[account, union] = max(shortfall, loss)
            if scenario.shape[2] > 0:
                scenario[account, union, :] = kept_scenario
    return NONE, 0, 0, 0


@jit
def _net(row, members, row_ptr, column, quantity, cursor, instrument, net):
    """Merge the segments' ascending positions into one list; return its length."""
    for g in members:
        cursor[g] = row_ptr[row + g]
    size = 0
    while True:
        smallest = np.int64(2**31)
        for g in members:
            if cursor[g] < row_ptr[row + g + 1]:
                smallest = min(smallest, np.int64(column[cursor[g]]))
        if smallest == 2**31:
            return size
        q = 0.0
        for g in members:
            if cursor[g] < row_ptr[row + g + 1] and column[cursor[g]] == smallest:
                q += quantity[cursor[g]]
                cursor[g] += 1
        instrument[size] = smallest
        net[size] = q
        size += 1


@jit
def _after(pnl_a, scenario_a, pnl_b, scenario_b):
    """Tell whether a comes after b, worst first: a smaller loss, or an equal one later."""
    return pnl_a > pnl_b or (pnl_a == pnl_b and scenario_a > scenario_b)


@jit
def _sift_down(pnl, scenario, root, size):
    """Restore the heap below `root`: each parent comes after its children."""
    while True:
        child = 2 * root + 1
        if child >= size:
            return
        if child + 1 < size and _after(
            pnl[child + 1], scenario[child + 1], pnl[child], scenario[child]
        ):
            child += 1
        if not _after(pnl[child], scenario[child], pnl[root], scenario[root]):
            return
        pnl[root], pnl[child] = pnl[child], pnl[root]
        scenario[root], scenario[child] = scenario[child], scenario[root]
        root = child


@jit
def _keep_worst(total, pnl, scenario):
    """Fill `pnl` and `scenario` with the worst of `total`, worst first."""
    k = len(pnl)
    for n in range(k):
        pnl[n] = total[n]
        scenario[n] = n
    for root in range(k // 2 - 1, -1, -1):
        _sift_down(pnl, scenario, root, k)
    # The root is the k-th worst so far. A later equal value loses the tie, so < is enough.
    for s in range(k, len(total)):
        if total[s] < pnl[0]:
            pnl[0] = total[s]
            scenario[0] = s
            _sift_down(pnl, scenario, 0, k)
    for size in range(k - 1, 0, -1):
        pnl[0], pnl[size] = pnl[size], pnl[0]
        scenario[0], scenario[size] = scenario[size], scenario[0]
        _sift_down(pnl, scenario, 0, size)


@jit
def _revalue(
    first,
    last,
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
    shock,
    pnl,
):
    """Revalue every instrument in scenarios [first, last); see the reference."""
    exponents = len(exponent_ptr) - 1
    discount = np.empty((exponents, TILE))
    base_discount = np.ones((exponents, 1))
    value = np.empty(TILE)
    line = np.empty(TILE)
    base = np.empty(1)
    base_line = np.empty(1)
    for begin in range(first, last, TILE):
        size = min(TILE, last - begin)
        for m in range(exponents):
            u = discount[m, :size]
            u[:] = 0.0
            for e in range(exponent_ptr[m], exponent_ptr[m + 1]):
                for s in range(size):
                    u[s] += exponent_weight[e] * shock[begin + s, exponent_factor[e]]
            for s in range(size):
                if not abs(u[s]) <= EXP_LIMIT:
                    return EXPONENT_RANGE, m, 0, begin + s
                u[s] = _exp(-u[s])
        for i in range(len(instrument_ptr) - 1):
            lines = instrument_ptr[i], instrument_ptr[i + 1]
            _value(lines, line_ptr, term_exponent, term_amount, line_offset, discount, value, line)
            _value(
                lines,
                line_ptr,
                term_exponent,
                term_amount,
                line_offset,
                base_discount,
                base,
                base_line,
            )
            for s in range(size):
                change = scale[i] * (value[s] - base[0])
                for n in range(linear_ptr[i], linear_ptr[i + 1]):
                    change += linear_loading[n] * shock[begin + s, linear_factor[n]]
                if not _to_grid(change, pnl, i, begin + s):
                    return PNL_RANGE, i, 0, begin + s
    return NONE, 0, 0, 0


@jit
def _value(lines, line_ptr, term_exponent, term_amount, line_offset, discount, value, line):
    """Fill `value` with the smallest of an instrument's lines."""
    value[:] = np.inf
    for j in range(lines[0], lines[1]):
        line[:] = 0.0
        for t in range(line_ptr[j], line_ptr[j + 1]):
            amount = term_amount[t]
            factor = discount[term_exponent[t]]
            for s in range(len(line)):
                line[s] += amount * factor[s]
        for s in range(len(line)):
            candidate = line[s] + line_offset[j]
            # NaN is kept, as in np.minimum, and is found when the P&L is stored.
            if candidate < value[s] or candidate != candidate:
                value[s] = candidate


@jit
def _taylor(first, last, poly_ptr, poly_feature, poly_coefficient, shock, pnl):
    """Evaluate polynomials of second order in scenarios [first, last); see the reference."""
    factors = shock.shape[1]
    feature = np.empty((factors + factors * (factors + 1) // 2, TILE))
    total = np.empty(TILE)
    for begin in range(first, last, TILE):
        size = min(TILE, last - begin)
        pair = factors
        for k in range(factors):
            for s in range(size):
                feature[k, s] = shock[begin + s, k]
        for k in range(factors):
            for n in range(k, factors):
                for s in range(size):
                    feature[pair, s] = feature[k, s] * feature[n, s]
                pair += 1
        for i in range(len(poly_ptr) - 1):
            total[:] = 0.0
            for t in range(poly_ptr[i], poly_ptr[i + 1]):
                for s in range(size):
                    total[s] += poly_coefficient[t] * feature[poly_feature[t], s]
            for s in range(size):
                if not _to_grid(total[s], pnl, i, begin + s):
                    return PNL_RANGE, i, 0, begin + s
    return NONE, 0, 0, 0


@jit
def _spread_credits(
    first,
    last,
    leg_ptr,
    leg_commodity,
    leg_ratio,
    leg_side,
    rate,
    net_delta,
    scan_risk,
    count,
    credit,
    remaining,
):
    """Form inter-commodity spreads for accounts [first, last); see the reference."""
    for account in range(first, last):
        left = remaining[account]
        for c in range(len(left)):
            left[c] = net_delta[account, c] + 0.0
        for p in range(len(rate)):
            begin, end = leg_ptr[p], leg_ptr[p + 1]
            as_stated = reversed_ = True
            for t in range(begin, end):
                delta = leg_side[t] * left[leg_commodity[t]]
                as_stated &= delta > 0.0
                reversed_ &= delta < 0.0
            n = total = 0.0
            if as_stated or reversed_:
                n = np.inf
                for t in range(begin, end):
                    n = min(n, abs(left[leg_commodity[t]]) / leg_ratio[t])
                if n > 0.0:
                    for t in range(begin, end):
                        c = leg_commodity[t]
                        used = available = abs(left[c])
                        if available / leg_ratio[t] != n:
                            used = n * leg_ratio[t]
                        total += used / abs(net_delta[account, c]) * scan_risk[account, c] * rate[p]
                        left[c] -= math.copysign(used, left[c])
            if not (np.isfinite(n) and np.isfinite(total)):
                return AMOUNT_RANGE, account, p, 0
            count[account, p] = n
            credit[account, p] = total
    return NONE, 0, 0, 0


@jit
def _net_pairs(
    first, last, a, b, weight, long_held, short_held, count, amount, long_left, short_left
):
    """Offset long and short holdings of accounts [first, last); see the reference."""
    for account in range(first, last):
        longs, shorts = long_left[account], short_left[account]
        for t in range(len(longs)):
            longs[t] = long_held[account, t] + 0.0
            shorts[t] = short_held[account, t] + 0.0
        for q in range(len(weight)):
            i, j = a[q], b[q]
            total = min(longs[i], shorts[j])
            longs[i] -= total
            shorts[j] -= total
            if i != j:
                n = min(shorts[i], longs[j])
                shorts[i] -= n
                longs[j] -= n
                total += n
            value = total * weight[q] + 0.0
            if not (np.isfinite(total) and np.isfinite(value)):
                return AMOUNT_RANGE, account, q, 0
            count[account, q] = total
            amount[account, q] = value
    return NONE, 0, 0, 0


@jit
def _box_tails(
    first,
    last,
    pnl,
    base,
    start,
    count,
    k,
    row,
    ptr,
    instrument,
    middle_lots,
    half,
    bounds,
    middle,
    scenario,
    low,
    high,
):
    """Bound VaR over boxes [first, last) of quantities; see the reference."""
    scenarios = pnl.shape[1]
    total, bounded = np.empty(scenarios), np.empty(scenarios)
    kept_pnl, kept_scenario = np.empty(max(k)), np.empty(max(k), np.int32)
    for box in range(first, last):
        if bounds[box] == 0:
            continue
        total[:] = base[row[box]]
        for i in range(ptr[box], ptr[box + 1]):
            move, lots = pnl[instrument[i]], middle_lots[i]
            for s in range(scenarios):
                total[s] += lots * move[s]
        for w in range(len(k)):
            own = slice(start[w], start[w] + count[w])
            _keep_worst(total[own], kept_pnl[: k[w]], kept_scenario[: k[w]])
            centre = start[w] + kept_scenario[k[w] - 1]
            middle[box, w] = 0.0 - kept_pnl[k[w] - 1]
            scenario[box, w] = centre
            reach = bounded[own]
            reach[:] = 0.0
            for i in range(ptr[box], ptr[box + 1]):
                if half[i] > 0.0:
                    move, at, lots = pnl[instrument[i], own], pnl[instrument[i], centre], half[i]
                    for s in range(count[w]):
                        reach[s] += lots * abs(move[s] - at)
            _keep_worst(total[own] + reach, kept_pnl[: k[w]], kept_scenario[: k[w]])
            low[box, w] = 0.0 - kept_pnl[k[w] - 1]
            if bounds[box] > 1:
                _keep_worst(total[own] - reach, kept_pnl[: k[w]], kept_scenario[: k[w]])
                high[box, w] = 0.0 - kept_pnl[k[w] - 1]


@jit
def _exp(x):
    """Return e to the power of `x`: the operations of `crossmargin.exact.exp`, one by one."""
    n = np.rint(x * LOG2_E)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = COEFFICIENTS[0]
    for c in COEFFICIENTS[1:]:
        p = p * r + c
    return (1.0 + (r + (r * r) * p)) * POWERS[int(n) - LOWEST_POWER]


@jit
def _to_grid(value, pnl, instrument, scenario):
    """Store a P&L rounded half to even to the grid; tell whether it was in range."""
    steps = value * 2.0**20
    if not abs(steps) < 2.0**53:
        return False
    pnl[instrument, scenario] = np.rint(steps) * 2.0**-20 + 0.0
    return True
