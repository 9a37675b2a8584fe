"""Offsets within an account: spread credits, tier charges and offset classes.

The arithmetic of margin by spreads, over all accounts at once. It works on arrays only; the caller
decides which commodities, tiers or classes the columns are, and which parameters apply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Array, Float
from crossmargin.engine.arguments import PairArrays, Pairs, SpreadArrays, Spreads
from crossmargin.engine.arrays import floats, indices, integers, pointers, same_length
from crossmargin.engine.backends import kernels
from crossmargin.engine.executor import run_blocks
from crossmargin.engine.faults import NONE, Fault

BLOCK_ACCOUNTS = 1024
"""Accounts in a block of work."""


@dataclass(frozen=True, eq=False)
class SpreadCredits:
    """Credits of inter-commodity spreads, by which they reduce the margin of each account.

    Attributes
    ----------
    count : ndarray of float64 [A x P]
        Number of each spread formed, not rounded to whole spreads.
    credit : ndarray of float64 [A x P]
        USD, not below zero.
    remaining : ndarray of float64 [A x C]
        The delta that no spread has used: between zero and the net delta, of the same sign.
    """

    count: Float
    credit: Float
    remaining: Float


@dataclass(frozen=True, eq=False)
class TierCharges:
    """Charges of intra-commodity spreads, which they add to the margin of each account.

    Attributes
    ----------
    count : ndarray of float64 [A x Q]
        Number of each spread formed.
    charge : ndarray of float64 [A x Q]
        USD, not below zero.
    long, short : ndarray of float64 [A x T]
        The deltas that no spread has used.
    """

    count: Float
    charge: Float
    long: Float
    short: Float


@dataclass(frozen=True, eq=False)
class ClassOffsets:
    """Offsets within and across classes, and the reductions of residual margin they give.

    Attributes
    ----------
    offset : ndarray of float64 [A x (K + Q)]
        Residual margin offset, USD: first within each class, then across each pair of classes.
    reduction : ndarray of float64 [A x (K + Q)]
        The part of it that is allowed, USD. The margin of each side falls by this amount.
    long, short : ndarray of float64 [A x K]
        Residual margin that is not offset, USD.
    """

    offset: Float
    reduction: Float
    long: Float
    short: Float


def spread_credits(
    net_delta: npt.ArrayLike,
    scan_risk: npt.ArrayLike,
    *,
    leg_ptr: npt.ArrayLike,
    leg_commodity: npt.ArrayLike,
    leg_ratio: npt.ArrayLike,
    leg_side: npt.ArrayLike,
    rate: npt.ArrayLike,
    threads: int | None = None,
    backend: str = "auto",
) -> SpreadCredits:
    """Return the credits of inter-commodity spreads, formed in order of priority.

    Parameters
    ----------
    net_delta : array_like of float [A x C]
        Net delta of each account in each commodity, long positive.
    scan_risk : array_like of float [A x C]
        Scan risk, USD, not below zero.
    leg_ptr : array_like of int [P + 1]
        Where the legs of each spread begin. Spreads are in order of priority.
    leg_commodity : array_like of int [L]
        The commodity of each leg; no spread names one twice.
    leg_ratio : array_like of float [L]
        The delta of the leg in one spread, above zero.
    leg_side : array_like of int [L]
        +1 or -1. Every spread has legs on both sides, which offset each other.
    rate : array_like of float [P]
        The share of the scan risk that is credited, 0 to 1.
    threads : int, optional
        All the process may use if not given.
    backend : {"auto", "native", "numba", "reference"}
        They give the same bits.

    Returns
    -------
    SpreadCredits

    Raises
    ------
    TypeError, ValueError
        An array is not as described, or a result overflows float64; the message names the
        argument and the element, or the account and the spread.

    Notes
    -----
    Methodology, section 5. With r the remaining delta of a leg, a spread forms where side * r > 0
    for all its legs or < 0 for all. Then n = the smallest |r| / ratio. The credit of a leg is
    n * ratio * (scan risk / |net delta|) * rate, with the net delta before any spread. Later
    spreads cannot use this n * ratio of delta. The leg with the smallest |r| / ratio is left with
    exactly zero.

    `reference` gives the order of the arithmetic. It first computes the share of the net delta that
    is used, so the credit of a leg never exceeds its scan risk. All credits of a commodity together
    exceed its scan risk only by rounding: over k spreads by less than (k + 3) * 2^-53 of it.

    Examples
    --------
    Ten of the first commodity against five of the second, two to one, at half the scan risk:

    >>> spreads = spread_credits(
    ...     [[10.0, -8.0]], [[1000.0, 1600.0]],
    ...     leg_ptr=[0, 2], leg_commodity=[0, 1], leg_ratio=[2, 1], leg_side=[1, -1], rate=[0.5],
    ... )
    >>> spreads.count, spreads.credit, spreads.remaining
    (array([[5.]]), array([[1000.]]), array([[ 0., -3.]]))
    """
    delta, risk = check_deltas(net_delta, scan_risk)
    spreads = check_spreads(leg_ptr, leg_commodity, leg_ratio, leg_side, rate, delta.shape[1])
    kernel = kernels(backend).spread_credits
    shape = (len(delta), len(spreads.rate))
    result = SpreadArrays(np.empty(shape), np.empty(shape), np.empty(delta.shape))
    _run(
        lambda first, last: kernel(first, last, spreads, delta, risk, result),
        len(delta),
        threads,
        "spread {}: its number or credit overflows float64; check deltas, ratios and scan risks",
    )
    return SpreadCredits(*result)


def tier_charges(
    long: npt.ArrayLike,
    short: npt.ArrayLike,
    *,
    tier_a: npt.ArrayLike,
    tier_b: npt.ArrayLike,
    charge: npt.ArrayLike,
    threads: int | None = None,
    backend: str = "auto",
) -> TierCharges:
    """Return the charges of intra-commodity spreads by tier, formed in order of priority.

    Parameters
    ----------
    long, short : array_like of float [A x T]
        Deltas of each account in each tier, zero or more; the columns hold the tiers of all
        commodities.
    tier_a, tier_b : array_like of int [Q]
        The tiers of each spread, in order of priority. The same tier twice is a spread within it.
    charge : array_like of float [Q]
        USD a spread, not below zero.
    threads : int, optional
        All the process may use if not given.
    backend : {"auto", "native", "numba", "reference"}
        They give the same bits.

    Returns
    -------
    TierCharges

    Raises
    ------
    TypeError, ValueError
        An array is not as described, or a result overflows float64; the message names the
        argument and the element, or the account and the spread.

    Notes
    -----
    Methodology, section 5. Within a tier n = min(long, short). Across two n = min(long_a, short_b),
    then, with what is left, min(short_a, long_b) more. The charge is n * charge. Later spreads
    cannot use the same deltas.

    Examples
    --------
    Four within the first tier, then three across; two of the second tier stay short:

    >>> tiers = tier_charges(
    ...     [[7.0, 0.0]], [[4.0, 5.0]], tier_a=[0, 0], tier_b=[0, 1], charge=[10.0, 100.0]
    ... )
    >>> tiers.charge, tiers.short
    (array([[ 40., 300.]]), array([[0., 2.]]))
    """
    longs, shorts = _sides(long, short)
    a = indices("tier_a", tier_a, longs.shape[1])
    b = indices("tier_b", tier_b, longs.shape[1])
    each = _amounts("charge", charge, 1)
    same_length(tier_a=a, tier_b=b, charge=each)
    problem = "spread {}: its number or charge overflows float64; check deltas and charges"
    return TierCharges(*_net_pairs(longs, shorts, Pairs(a, b, each), threads, backend, problem))


class FewSpreads:
    """The credits of `spread_credits` for a few accounts at a time; what is fixed is checked once.

    Parameters
    ----------
    leg_ptr, leg_commodity, leg_ratio, leg_side, rate : array_like
        As in `spread_credits`.
    commodities : int
        Their number C.
    """

    def __init__(
        self,
        *,
        leg_ptr: npt.ArrayLike,
        leg_commodity: npt.ArrayLike,
        leg_ratio: npt.ArrayLike,
        leg_side: npt.ArrayLike,
        rate: npt.ArrayLike,
        commodities: int,
    ) -> None:
        self._spreads = check_spreads(
            leg_ptr, leg_commodity, leg_ratio, leg_side, rate, commodities
        )
        self._kernel = kernels("auto").spread_credits

    def __call__(self, net_delta: Float, scan_risk: Float) -> Float | None:
        """Return the credits [A x P]; None if a result overflows.

        Parameters
        ----------
        net_delta, scan_risk : ndarray of float64 [A x C]
            As in `spread_credits`, finite, and not checked.
        """
        accounts = len(net_delta)
        shape = accounts, len(self._spreads.rate)
        result = SpreadArrays(np.empty(shape), np.empty(shape), np.empty(net_delta.shape))
        kind, *_ = self._kernel(0, accounts, self._spreads, net_delta, scan_risk, result)
        return result.credit if kind == NONE else None


class FewPairs:
    """The charges of `tier_charges` for a few accounts at a time; what is fixed is checked once.

    Parameters
    ----------
    tier_a, tier_b, charge : array_like
        As in `tier_charges`.
    tiers : int
        Their number T.
    """

    def __init__(
        self,
        *,
        tier_a: npt.ArrayLike,
        tier_b: npt.ArrayLike,
        charge: npt.ArrayLike,
        tiers: int,
    ) -> None:
        a, b = indices("tier_a", tier_a, tiers), indices("tier_b", tier_b, tiers)
        self._pairs = Pairs(a, b, _amounts("charge", charge, 1))
        same_length(tier_a=a, tier_b=b, charge=self._pairs.weight)
        self._kernel = kernels("auto").net_pairs

    def __call__(self, long: Float, short: Float) -> Float | None:
        """Return the charges [A x Q]; None if a result overflows.

        Parameters
        ----------
        long, short : ndarray of float64 [A x T]
            As in `tier_charges`, finite, and not checked.
        """
        accounts = len(long)
        shape = accounts, len(self._pairs.weight)
        result = PairArrays(
            np.empty(shape), np.empty(shape), np.empty(long.shape), np.empty(short.shape)
        )
        kind, *_ = self._kernel(0, accounts, self._pairs, long, short, result)
        return result.amount if kind == NONE else None


def offset_classes(
    long: npt.ArrayLike,
    short: npt.ArrayLike,
    *,
    factor: npt.ArrayLike,
    class_i: npt.ArrayLike,
    class_j: npt.ArrayLike,
    disallowance: npt.ArrayLike,
    threads: int | None = None,
    backend: str = "auto",
) -> ClassOffsets:
    """Return offsets of residual margin within classes, then across pairs of them in order.

    Parameters
    ----------
    long, short : array_like of float [A x K]
        Residual margin of each account in each class on each side, USD, zero or more.
    factor : array_like of float [K]
        The share of an offset within the class that is disallowed, 0 to 1.
    class_i, class_j : array_like of int [Q]
        The two different classes of each pair, in the order in which pairs offset.
    disallowance : array_like of float [Q]
        The share of an offset across the pair that is disallowed, 0 to 1.
    threads : int, optional
        All the process may use if not given.
    backend : {"auto", "native", "numba", "reference"}
        They give the same bits.

    Returns
    -------
    ClassOffsets

    Raises
    ------
    TypeError, ValueError
        An array is not as described, or a result overflows float64; the message names the
        argument and the element, or the account and the offset.

    Notes
    -----
    1. Each class k in order: n = min(long_k, short_k), with d = factor_k.
    2. Each pair (i, j) in order: n = min(long_i, short_j), then min(short_i, long_j) more, with
       d = disallowance of the pair.

    Each time n is taken from both sides, so it cannot offset anything else. The margin of each side
    falls by the reduction n * (1 - d); the rest, n * d, stays as margin. If the sides are margined
    at two clearing houses, each reduces its own margin.

    The scheme of offset classes, residual margin and disallowance factors is remembered (evidence:
    unconfirmed); no table of classes or factors is known. 17 CFR 402.2 has a similar structure: an
    offset factor within a category, and a disallowance for hedging across categories.

    Examples
    --------
    30 within the first class at 10% disallowed; the 20 still long there against 50 short in the
    second at 40%:

    >>> classes = offset_classes(
    ...     [[50.0, 0.0]], [[30.0, 50.0]],
    ...     factor=[0.1, 0.1], class_i=[0], class_j=[1], disallowance=[0.4],
    ... )
    >>> classes.reduction, classes.short
    (array([[27.,  0., 12.]]), array([[ 0., 30.]]))
    """
    longs, shorts = _sides(long, short)
    classes = longs.shape[1]
    within = _fractions("factor", factor)
    if len(within) != classes:
        raise ValueError(f"factor: {classes} elements expected, one a class, got {len(within)}")
    i, j = indices("class_i", class_i, classes), indices("class_j", class_j, classes)
    across = _fractions("disallowance", disallowance)
    same_length(class_i=i, class_j=j, disallowance=across)
    _refuse("class_j", j, i == j, "a pair needs two classes, and this is also its class_i")
    each = np.arange(classes, dtype=np.int32)
    a, b = np.concatenate([each, i]), np.concatenate([each, j])
    allowed = 1.0 - np.concatenate([within, across])
    problem = "offset {}: it overflows float64; check the residual margins"
    return ClassOffsets(*_net_pairs(longs, shorts, Pairs(a, b, allowed), threads, backend, problem))


def _net_pairs(
    longs: Float, shorts: Float, pairs: Pairs, threads: int | None, backend: str, problem: str
) -> PairArrays:
    """Return counts, amounts and what is left, from the kernel run over blocks of accounts."""
    kernel = kernels(backend).net_pairs
    shape = (len(longs), len(pairs.weight))
    result = PairArrays(
        np.empty(shape), np.empty(shape), np.empty(longs.shape), np.empty(longs.shape)
    )
    _run(
        lambda first, last: kernel(first, last, pairs, longs, shorts, result),
        len(longs),
        threads,
        problem,
    )
    return result


def _run(
    kernel: Callable[[int, int], Fault], accounts: int, threads: int | None, problem: str
) -> None:
    """Run a kernel over blocks of accounts; raise the fault that it reports."""

    def block(first: int, last: int) -> None:
        kind, account, part, _ = kernel(first, last)
        if kind != NONE:
            raise ValueError(f"account {account}, {problem.format(part)}")

    bounds = [*range(0, accounts, BLOCK_ACCOUNTS), accounts]
    run_blocks(block, bounds, threads=threads, unit="accounts")


def check_deltas(net_delta: npt.ArrayLike, scan_risk: npt.ArrayLike) -> tuple[Float, Float]:
    """Return net deltas and scan risks as arrays, checked.

    Parameters
    ----------
    net_delta, scan_risk : array_like of float [A x C]
        As in `spread_credits`.

    Returns
    -------
    net_delta, scan_risk : ndarray of float64 [A x C]

    Raises
    ------
    TypeError, ValueError
        As in `spread_credits`.
    """
    delta, risk = floats("net_delta", net_delta, ndim=2), _amounts("scan_risk", scan_risk, 2)
    _same_shape("scan_risk", risk, "net_delta", delta)
    return delta, risk


def _sides(long: npt.ArrayLike, short: npt.ArrayLike) -> tuple[Float, Float]:
    """Return both sides' holdings, checked."""
    longs, shorts = _amounts("long", long, 2), _amounts("short", short, 2)
    _same_shape("short", shorts, "long", longs)
    return longs, shorts


def check_spreads(
    leg_ptr: npt.ArrayLike,
    leg_commodity: npt.ArrayLike,
    leg_ratio: npt.ArrayLike,
    leg_side: npt.ArrayLike,
    rate: npt.ArrayLike,
    commodities: int,
) -> Spreads:
    """Return spreads as arrays, checked.

    Parameters
    ----------
    leg_ptr, leg_commodity, leg_ratio, leg_side, rate : array_like
        As in `spread_credits`.
    commodities : int
        The number of commodities C.

    Returns
    -------
    Spreads

    Raises
    ------
    TypeError, ValueError
        As in `spread_credits`.
    """
    commodity = indices("leg_commodity", leg_commodity, commodities)
    ratio = floats("leg_ratio", leg_ratio)
    _refuse("leg_ratio", ratio, ratio <= 0, "ratios are above zero; the side has the sign")
    side = integers("leg_side", leg_side, np.int8)
    _refuse("leg_side", side, np.abs(side) != 1, "+1 or -1 expected")
    legs = same_length(leg_commodity=commodity, leg_ratio=ratio, leg_side=side)
    ptr = pointers("leg_ptr", leg_ptr, legs, "leg_commodity")
    rates = _fractions("rate", rate)
    same_length(leg_ptr=ptr[1:], rate=rates)
    for spread, (begin, end) in enumerate(pairwise(ptr)):
        if len(set(side[begin:end].tolist())) != 2:
            raise ValueError(f"leg_side: spread {spread} needs legs on both sides, +1 and -1")
        if len(set(commodity[begin:end].tolist())) != end - begin:
            raise ValueError(
                f"leg_commodity: spread {spread} names a commodity twice; add its legs"
            )
    return Spreads(ptr, commodity, ratio, side, rates)


def _amounts(name: str, value: npt.ArrayLike, ndim: int) -> Float:
    """Return an array of numbers that are not below zero."""
    array = floats(name, value, ndim)
    _refuse(name, array, array < 0, "zero or more expected")
    return array


def _fractions(name: str, value: npt.ArrayLike) -> Float:
    """Return a vector of numbers from 0 to 1."""
    array = floats(name, value)
    _refuse(name, array, (array < 0) | (array > 1), "0 to 1 expected, not percent")
    return array


def _refuse(name: str, array: Array, bad: npt.NDArray[np.bool_], expected: str) -> None:
    """Raise if an element is bad; the message names the first."""
    if bool(bad.any()):
        element = np.argwhere(bad)[0]
        where = element.tolist() if array.ndim > 1 else int(element[0])
        raise ValueError(f"{name}: element {where} is {array[tuple(element)]}; {expected}")


def _same_shape(name: str, array: Array, other: str, model: Array) -> None:
    """Raise unless two arrays have the same shape."""
    if array.shape != model.shape:
        raise ValueError(f"{name}: shape {array.shape}, but {other} has {model.shape}")
