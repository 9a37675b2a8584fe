"""The FICC-like model: V_F = max(VaR, floor, minimum margin amount) (methodology, section 5)."""

from __future__ import annotations

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Int32, Integer, Mask, bucket_of
from crossmargin.conventions import FICC, SEGMENTS, UNIONS
from crossmargin.engine import (
    Book,
    Cube,
    Execution,
    Measure,
    feature_index,
    revalue,
    segment_tails,
    taylor,
)
from crossmargin.engine.execution import DEFAULT_EXECUTION
from crossmargin.instruments.universe import FORWARD_CASH, Universe
from crossmargin.margin.ficc.rule import v_ficc, v_ficc_haircut, with_haircut
from crossmargin.margin.portfolios import CcpMargin, holds, portfolio_sums
from crossmargin.margin.stress import where_it_moves
from crossmargin.market import Market
from crossmargin.market.curve import NODE_NAMES, NODES
from crossmargin.market.scenarios import HistoryShortError, Scenarios, ScenarioStore
from crossmargin.policies import Ficc, ScenarioRules

PROXY = "proxy"
"""The value of `rules.pnl` for the margin proxy, which replaces P&L by instrument."""


def ficc_cube(
    universe: Universe,
    market: Market,
    rules: Ficc,
    scenarios: ScenarioRules,
    *,
    store: ScenarioStore | None = None,
    execution: Execution = DEFAULT_EXECUTION,
) -> Cube:
    """Return the P&L of every instrument under the model's scenarios.

    Parameters
    ----------
    universe : Universe
        Futures enter by today's cheapest to deliver (`fixed`), plus the change of their basis.
    market : Market
        The history the scenarios come from.
    rules, scenarios : Ficc, ScenarioRules
        `rules.pnl` is `sensitivity`, second order in the zero rates, `full` revaluation, or
        `proxy`, market value times the price return of the bucket's node.
    store : ScenarioStore, optional
        Keeps the scenarios for the next call.
    execution : Execution

    Returns
    -------
    Cube
        [I x S], USD per lot or contract, on the grid; zero where unpriced.
    """
    chosen = ficc_scenarios(market, rules, scenarios, store)
    if rules.pnl == PROXY:
        pnl = _proxy(universe, chosen.shock, rules)
    elif rules.pnl == "full":
        terms = universe.fixed_terms()
        pnl = revalue(terms, chosen.shock, **execution.kernels)
    else:
        pnl = taylor(
            *polynomials(universe, len(chosen.factor)),
            chosen.shock,
            **execution.kernels,
        )
    pnl = where_it_moves(pnl, universe, chosen, scenarios)
    return Cube(pnl, scenario=chosen.date.astype(str).tolist())


def ficc_scenarios(
    market: Market, rules: Ficc, scenarios: ScenarioRules, store: ScenarioStore | None = None
) -> Scenarios:
    """Return the model's scenarios: moves over its horizon, unscaled.

    The proxy does with any length of history. A store keeps the scenarios for the next call.
    """
    return (store or ScenarioStore()).of(
        market.history,
        horizon=rules.horizon,
        look_back=scenarios.look_back,
        minimum=1 if rules.pnl == PROXY else scenarios.minimum_rows,
        stress=scenarios.stress,
    )


def proxy_covers(universe: Universe) -> Mask:
    """Return which instruments the margin proxy covers, [I].

    A short-rate future has no market value, so no benchmark's return can move it.
    """
    valued = universe.priced & (universe.market_value != 0.0)
    return np.asarray(valued | (universe.kind == FORWARD_CASH))


def _proxy(universe: Universe, shock: Float, rules: Ficc) -> Float:
    """Return market value times -t dz at the benchmark of the instrument's bucket, [I x S]."""
    node = [NODE_NAMES.index(name) for name in rules.floor_bucket_nodes]
    price_return = -NODES[node] * shock[:, node]
    benchmark = price_return.T[floor_buckets(universe, rules)]
    return exact.round_to_grid(universe.market_value[:, None] * benchmark)


def polynomials(universe: Universe, factors: int) -> tuple[Integer, Int32, Float]:
    """Return g . x + x' H x / 2 + loading * x_f of each instrument as `engine.taylor` takes it.

    Parameters
    ----------
    universe : Universe
        [I].
    factors : int
        Nodes of the curve and bases.

    Returns
    -------
    ptr : ndarray of int64, [I + 1]
    feature : ndarray of int32
        Factors, then their products, by `engine.feature_index`.
    coefficient : ndarray of float64
        USD.
    """
    gradient, hessian = universe.sensitivities.gradient, universe.sensitivities.hessian
    terms = universe.terms
    instruments, nodes = gradient.shape
    linear = np.zeros((instruments, factors))
    linear[:, :nodes] = gradient
    own = np.repeat(np.arange(instruments), np.diff(terms.linear_ptr))
    np.add.at(linear, (own, terms.linear_factor), terms.linear_loading)
    first, second = np.triu_indices(nodes)
    pairs = hessian[:, first, second] * np.where(first == second, 0.5, 1.0)
    feature = np.concatenate([np.arange(factors), feature_index(first, second, factors)])
    coefficient = np.concatenate([linear, pairs], axis=1)
    row, column = np.nonzero(coefficient)
    count = np.bincount(row, minlength=instruments)
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
    return ptr, feature[column].astype(np.int32), coefficient[row, column]


def floor_rates(market: Market, rules: Ficc) -> Float:
    """Return the share of each bucket's net market value that V never falls below, [B].

    Parameters
    ----------
    market : Market
        The history used.
    rules : Ficc
        Share, window, and the benchmark node of each bucket.

    Returns
    -------
    ndarray of float64, [B]

    Raises
    ------
    HistoryShortError
        The history has no change over the horizon.

    Notes
    -----
    A share of the smallest population standard deviation, over all windows of `floor_rows` rows,
    of -t * (horizon-row change of z) at the bucket's node.
    """
    node = [NODE_NAMES.index(name) for name in rules.floor_bucket_nodes]
    move = -NODES[node] * market.history.zero_rate_change(rules.horizon)[:, node]
    if move.shape[0] == 0:
        raise HistoryShortError(
            f"HISTORY_SHORT: no change over {rules.horizon} rows; give a longer history of par "
            "yields"
        )
    size = min(rules.floor_rows, move.shape[0])
    smallest = [smallest_variance(np.ascontiguousarray(column), size) for column in move.T]
    return np.asarray(rules.floor_share * np.sqrt(np.array(smallest)))


def smallest_variance(value: Float, size: int) -> float:
    """Return the smallest population variance over all windows of `size` values.

    Parameters
    ----------
    value : ndarray of float64, [N]
    size : int
        At most N.

    Notes
    -----
    The variance of a window is the mean of squared deviations from its mean, both summed in the
    order of the values. Differences of cumulative sums tell which windows may have the smallest.
    Such a difference is off by at most about 3 N 2^-53 of the sum of all squares, far below the
    share of 1e-9 that is allowed for.
    """
    sums, squares = (
        np.concatenate([np.zeros(1), np.cumsum(each)]) for each in (value, value * value)
    )
    mean = (sums[size:] - sums[:-size]) / size
    nearly = (squares[size:] - squares[:-size]) / size - mean * mean
    allowed = 1e-9 * squares[-1] / size
    near = np.flatnonzero(nearly <= nearly.min() + 2.0 * allowed)
    window = value[near[:, None] + np.arange(size)]
    away = window - (exact.ordered_sum(window) / size)[:, None]
    return float((exact.ordered_sum(away * away) / size).min())


def ficc_measures(cube: Cube, rules: Ficc) -> list[Measure]:
    """Return the measures of VaR and, over the latest rows, of the minimum margin amount."""
    latest = slice(max(cube.scenarios - rules.minimum_margin_rows, 0), None)
    return [Measure(cube, rules.level), Measure(cube, rules.level, latest)]


def floor_buckets(universe: Universe, rules: Ficc) -> Integer:
    """Return each instrument's bucket by its remaining years, [I]; the last bucket has no end."""
    return bucket_of(universe.years, rules.floor_bucket_years)


def ficc_margin(
    book: Book,
    cube: Cube,
    universe: Universe,
    priced: Mask,
    floor_rate: Float,
    rules: Ficc,
    *,
    haircut: Float | None = None,
    execution: Execution = DEFAULT_EXECUTION,
) -> CcpMargin:
    """Return V_F of every portfolio.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    cube : Cube
        From `ficc_cube`, or the user's.
    universe : Universe
        Market values and remaining years for the floor.
    priced : ndarray of bool, [I]
        Instruments the cube covers.
    floor_rate : ndarray of float64, [B]
        From `floor_rates`.
    rules : Ficc
        Level, look-back of the minimum margin amount, buckets.
    haircut : ndarray of float64, [R x 5], optional
        Amounts of the haircut method, for instruments that do not move in the cube.
    execution : Execution

    Returns
    -------
    CcpMargin
        Components VaR, floor and MMA; with haircuts also their amount, which MMA then includes.
    """
    tail = segment_tails(
        book,
        ficc_measures(cube, rules),
        segments=len(SEGMENTS),
        unions=UNIONS[FICC],
        **execution.kernels,
        es=False,
    )
    bucket = floor_buckets(universe, rules)
    net = portfolio_sums(book, FICC, universe.market_value, bucket, len(rules.floor_bucket_years))
    floor = exact.ordered_sum(np.abs(net) * floor_rate)
    var, minimum = tail.var[:, :, 0], tail.var[:, :, 1]
    component = {"VaR": var, "floor": floor, "MMA": minimum}
    if haircut is not None:
        component |= {"MMA": with_haircut(minimum, haircut), "haircut": haircut}
        v = v_ficc_haircut(var, minimum, floor, haircut)
    else:
        v = v_ficc(var, minimum, floor)
    return CcpMargin(FICC, v, holds(book, FICC, ~priced), component)
