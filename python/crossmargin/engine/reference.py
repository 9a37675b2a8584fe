"""The specification of every kernel, in plain NumPy: slow, but easy to read.

The C++ and numba kernels take the same arguments and give the same bits. Each kernel works on a
range [first, last), writes into the arrays it is given (`arguments.py`), and returns a fault
(`faults.py`).
"""

from __future__ import annotations

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Int32
from crossmargin.engine.arguments import (
    BoxArrays,
    Boxes,
    PairArrays,
    Pairs,
    Polynomials,
    SpreadArrays,
    Spreads,
    TailArrays,
    TermArrays,
    Unions,
    Windows,
)
from crossmargin.engine.book import Book
from crossmargin.engine.cube import Measure
from crossmargin.engine.faults import (
    AMOUNT_RANGE,
    EXPONENT_RANGE,
    OK,
    PNL_RANGE,
    SUM_NOT_FINITE,
    Fault,
)

GRID_LIMIT = 2.0**53
"""Grid steps; float64 does not hold a larger P&L exactly."""


def segment_tails(
    first: int, last: int, book: Book, unions: Unions, measure: Measure, result: TailArrays
) -> Fault:
    """Measure the tails of accounts [first, last) in every union of segments.

    Parameters
    ----------
    first, last : int
        The range of accounts.
    book : Book
        Quantities [A * G x I].
    unions : Unions
    measure : Measure
        P&L of the scenarios, USD, gain positive, and the size of the tail.
    result : TailArrays

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
    pnl = measure.pnl[:, measure.start : measure.start + measure.count]
    for account in range(first, last):
        for union in range(unions.size):
            instrument, net = _net(book, account * unions.segments + unions.members(union))
            total = np.zeros(measure.count)
            with np.errstate(over="ignore", invalid="ignore"):
                for i, q in zip(instrument, net, strict=True):
                    total += q * pnl[i]
            infinite = np.flatnonzero(~np.isfinite(total))
            if infinite.size:
                return SUM_NOT_FINITE, account, union, int(infinite[0])

            # A stable sort keeps the lower scenario number first among equals.
            worst = np.argsort(total, kind="stable")[: measure.k]
            loss = 0.0 - total[worst]
            result.var[account, union] = loss[-1]
            if result.es.size:
                shortfall = _shortfall(loss, measure.w)
                if not np.isfinite(shortfall):
                    return SUM_NOT_FINITE, account, union, int(worst[0])
                result.es[account, union] = max(shortfall, loss[-1])
            if result.scenario.size:
                result.scenario[account, union] = worst
    return OK


def _net(book: Book, rows: Int32) -> tuple[Int32, Float]:
    """Return the instruments of some rows, ascending, and their quantities added in row order."""
    lines = [slice(*book.row_ptr[row + np.arange(2)]) for row in rows]
    instrument, place = np.unique(
        np.concatenate([book.column[line] for line in lines]), return_inverse=True
    )
    net = np.zeros(len(instrument))
    np.add.at(net, place, np.concatenate([book.quantity[line] for line in lines]))
    return instrument, net


def _shortfall(loss: Float, w: float) -> float:
    """Return the mean of the w largest losses, the last of which counts in part."""
    with np.errstate(over="ignore"):
        tail_sum = float(exact.ordered_sum(loss[:-1])) + (w - (len(loss) - 1)) * loss[-1]
        return float(tail_sum / w + 0.0)


def revalue(first: int, last: int, terms: TermArrays, shock: Float, pnl: Float) -> Fault:
    """Revalue every instrument in scenarios [first, last); see `crossmargin.engine.revalue`.

    Parameters
    ----------
    first, last : int
        The range of scenarios.
    terms : TermArrays
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
    growth = np.zeros((len(terms.exponent_ptr) - 1, last - first))
    with np.errstate(over="ignore", invalid="ignore"):
        for m in range(len(growth)):
            for e in range(terms.exponent_ptr[m], terms.exponent_ptr[m + 1]):
                growth[m] += terms.exponent_weight[e] * moves[:, terms.exponent_factor[e]]
            outside = np.flatnonzero(~(np.abs(growth[m]) <= exact.EXP_LIMIT))
            if outside.size:
                return EXPONENT_RANGE, m, 0, first + int(outside[0])
        discount = exact.exp(-growth)

        for i in range(terms.instruments):
            lines = range(terms.instrument_ptr[i], terms.instrument_ptr[i + 1])
            value = np.full(last - first, np.inf)
            base = np.float64(np.inf)
            for j in lines:
                total = np.zeros(last - first)
                base_total = 0.0
                for t in range(terms.line_ptr[j], terms.line_ptr[j + 1]):
                    total += terms.term_amount[t] * discount[terms.term_exponent[t]]
                    base_total += terms.term_amount[t]
                value = np.minimum(value, total + terms.line_offset[j])
                base = np.minimum(base, base_total + terms.line_offset[j])
            change = terms.scale[i] * (value - base)
            for n in range(terms.linear_ptr[i], terms.linear_ptr[i + 1]):
                change += terms.linear_loading[n] * moves[:, terms.linear_factor[n]]
            fault = _round_into(pnl[i, first:last], change, i, first)
            if fault != OK:
                return fault
    return OK


def taylor(first: int, last: int, polynomials: Polynomials, shock: Float, pnl: Float) -> Fault:
    """Evaluate polynomials of second order in scenarios [first, last).

    Parameters
    ----------
    first, last : int
        The range of scenarios.
    polynomials : Polynomials
    shock : ndarray of float64 [S x K]
        Changes of the factors.
    pnl : ndarray of float64 [I x S]
        Result, USD, on the grid of 2^-20.

    Returns
    -------
    Fault
        PNL_RANGE with instrument and scenario, or OK.
    """
    ptr, number, coefficient = polynomials
    moves = shock[first:last].T
    with np.errstate(over="ignore", invalid="ignore"):
        pairs = [moves[k] * moves[n] for k in range(len(moves)) for n in range(k, len(moves))]
        feature = [*moves, *pairs]
        for i in range(polynomials.instruments):
            total = np.zeros(last - first)
            for t in range(ptr[i], ptr[i + 1]):
                total += coefficient[t] * feature[number[t]]
            fault = _round_into(pnl[i, first:last], total, i, first)
            if fault != OK:
                return fault
    return OK


def spread_credits(
    first: int,
    last: int,
    spreads: Spreads,
    net_delta: Float,
    scan_risk: Float,
    result: SpreadArrays,
) -> Fault:
    """Form inter-commodity spreads for accounts [first, last).

    Parameters
    ----------
    first, last : int
        The range of accounts.
    spreads : Spreads
    net_delta : ndarray of float64 [A x C]
        Long positive.
    scan_risk : ndarray of float64 [A x C]
        USD.
    result : SpreadArrays

    Returns
    -------
    Fault
        AMOUNT_RANGE with account and spread, or OK.

    Notes
    -----
    Each leg alone could form (side * remaining delta) / ratio spreads. Spreads form if these
    quotients are all above zero or all below it, and their number n is the smallest magnitude. A
    leg whose quotient is n uses all of its remaining delta; any other leg uses n * ratio, which
    never rounds to more than it has. Credits of the legs, ((used / |net delta|) * scan risk) *
    rate, are added in stored order from +0.0.
    """
    leg_ptr, leg_commodity, leg_ratio, leg_side, rate = spreads
    result.remaining[first:last] = net_delta[first:last] + 0.0
    for account in range(first, last):
        left = result.remaining[account]
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
            result.formed[account, spread] = n
            result.credit[account, spread] = total
    return OK


def net_pairs(
    first: int,
    last: int,
    pairs: Pairs,
    long_held: Float,
    short_held: Float,
    result: PairArrays,
) -> Fault:
    """Offset long and short holdings of accounts [first, last), pair by pair.

    Parameters
    ----------
    first, last : int
        The range of accounts.
    pairs : Pairs
    long_held, short_held : ndarray of float64 [A x T]
        Not below zero.
    result : PairArrays

    Returns
    -------
    Fault
        AMOUNT_RANGE with account and pair, or OK.

    Notes
    -----
    For each pair n = min(long of a, short of b) is taken from both. If b differs from a,
    m = min(short of a, long of b) is then taken from both too. The offset is n + m.
    """
    a, b, weight = pairs
    offset, amount, long_left, short_left = result
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
            offset[account, pair] = total
            amount[account, pair] = value
    return OK


def box_tails(
    first: int,
    last: int,
    pnl: Float,
    base: Float,
    windows: Windows,
    boxes: Boxes,
    result: BoxArrays,
) -> None:
    """Bound the VaR of portfolios whose quantities lie in boxes [first, last).

    Parameters
    ----------
    first, last : int
        The range of boxes.
    pnl : ndarray of float64 [I x S]
        USD, gain positive, on the grid.
    base : ndarray of float64 [R x S]
        P&L of the fixed portfolios.
    windows : Windows
    boxes : Boxes
        No sum of theirs is rounded.
    result : BoxArrays

    Notes
    -----
    With the losses L[s] in the middle of a box, `middle` is the k-th largest of a window and
    `scenario` that loss' scenario, the lower number first among equals. With the lines that can
    vary, r[s] = sum of half * abs(pnl[s] - pnl[scenario]): the loss of any portfolio of the box
    lies within L[s] - r[s] and L[s] + r[s], apart from what it would change in `scenario` itself.
    `low` and `high` are the k-th largest of these.
    """
    for box in np.flatnonzero(boxes.bounds[first:last]) + first:
        lines = slice(boxes.ptr[box], boxes.ptr[box + 1])
        half, move = boxes.half[lines], pnl[boxes.instrument[lines]]
        loss = 0.0 - (base[boxes.row[box]] + boxes.middle[lines] @ move)
        varies = half > 0.0
        for window, (start, count, k) in enumerate(zip(*windows, strict=True)):
            own = slice(start, start + count)
            # A stable sort keeps the lower scenario number first among equals.
            worst = start + np.argsort(-loss[own], kind="stable")[k - 1]
            change = np.abs(move[varies, own] - move[varies, worst, np.newaxis])
            reach = half[varies] @ change
            result.middle[box, window] = loss[worst] + 0.0
            result.scenario[box, window] = worst
            result.low[box, window] = _largest(loss[own] - reach, k)
            if boxes.bounds[box] > 1:
                result.high[box, window] = _largest(loss[own] + reach, k)


def _largest(values: Float, k: int) -> float:
    """Return the k-th largest value, zeros as +0.0."""
    return float(np.sort(values)[-k] + 0.0)


def _round_into(target: Float, value: Float, instrument: int, first: int) -> Fault:
    """Round to the grid, half to even, zeros as +0.0; return the first value out of range."""
    outside = np.flatnonzero(~(np.abs(value) * 2.0**20 < GRID_LIMIT))
    if outside.size:
        return PNL_RANGE, instrument, 0, first + int(outside[0])
    target[:] = exact.round_to_grid(value)
    return OK
