"""FICC's haircut method, for short securities and for those without sensitivities.

Methodology, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Integer, Mask, Text
from crossmargin.conventions import FICC
from crossmargin.engine import Book, Cube, tail_size
from crossmargin.instruments.schedule import add_months
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import Universe
from crossmargin.margin.ficc import _scalar
from crossmargin.margin.ficc.rule import haircut
from crossmargin.margin.ficc.var import ficc_scenarios
from crossmargin.margin.portfolios import Portfolios, portfolio_sums
from crossmargin.margin.single import Buckets, BucketSums, Held, of_each
from crossmargin.market import Market
from crossmargin.market.curve import NODE_NAMES, NODES
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import Ficc, HaircutRules, MaturityGroup, ScenarioRules


@dataclass(frozen=True)
class Haircuts:
    """The instruments that take the haircut method, and the parameters of their buckets.

    Attributes
    ----------
    bucket : ndarray of int64, [I]
        -1 for an instrument that does not take the method.
    no_price : ndarray of bool, [I]
        A security that would take the method if it had a price.
    rate : ndarray of float64, [B]
        Share of net market value.
    correlation : ndarray of float64, [B x B]
    """

    bucket: Integer
    no_price: Mask
    rate: Float
    correlation: Float

    @property
    def covered(self) -> Mask:
        """Which instruments take the method, [I]."""
        return np.asarray(self.bucket >= 0)


def maturity_group(
    securities: Securities, groups: tuple[MaturityGroup, ...], as_of: np.datetime64
) -> Integer:
    """Return the first group that holds each security's type and remaining term, -1 for none.

    Parameters
    ----------
    securities : Securities
        [N].
    groups : tuple of (name, types, months)
        A term of exactly so many calendar months belongs to the group.
    as_of : datetime64[D]

    Returns
    -------
    ndarray of int64, [N]
    """
    found = np.full(securities.cusip.size, -1)
    for number, (_, types, months) in enumerate(groups):
        in_group = np.isin(securities.type, types)
        in_group &= securities.maturity_date <= add_months(as_of, months)
        found[(found < 0) & in_group] = number
    return found


def node_moves(
    market: Market,
    nodes: tuple[str, ...],
    ficc: Ficc,
    scenarios: ScenarioRules,
    store: ScenarioStore | None = None,
) -> Float:
    """Return the model's moves of the zero rates at some nodes, [S x B], decimal."""
    at = [NODE_NAMES.index(name) for name in nodes]
    return np.asarray(ficc_scenarios(market, ficc, scenarios, store).shock[:, at])


def worst_moves(move: Float, level: float) -> Float:
    """Return the size that each column's moves stay within at a confidence level, [B].

    The rule is that of VaR: the k-th largest size.
    """
    _, k = tail_size(level, move.shape[0])
    return np.asarray(np.sort(np.abs(move), axis=0)[-k])


def haircut_method(
    universe: Universe,
    held: Securities,
    unpriced: Text,
    market: Market,
    rules: HaircutRules,
    ficc: Ficc,
    scenarios: ScenarioRules,
    *,
    short: bool = True,
    store: ScenarioStore | None = None,
) -> Haircuts:
    """Return the instruments that take the method, and the parameters of their buckets.

    Parameters
    ----------
    universe : Universe
        Its first instruments are the securities of the book.
    held : Securities
        Those, in the same order.
    unpriced : ndarray of str, [I]
        Why the model does not cover an instrument; empty where it does.
    market : Market
        Its history is what rates and correlations are calibrated from.
    rules, ficc, scenarios : HaircutRules, Ficc, ScenarioRules
        From the policy.
    short : bool
        Whether short securities take the method although the model covers them.
    store : ScenarioStore, optional
        Keeps the scenarios for the next call.

    Returns
    -------
    Haircuts

    Notes
    -----
    A security that the curve cannot value needs a price, or stays unpriced. The price of a TIPS or
    an FRN is the whole value of 100 of face. A calibrated rate is t times the size that 99% of the
    model's moves of the zero rate at the bucket's node stay within. A calibrated correlation is
    that of these moves.
    """
    size = held.cusip.size
    valued = universe.market_value[:size] != 0.0
    group = maturity_group(held, rules.buckets, market.as_of)
    wanted = unpriced[:size] != ""
    if short:
        wanted |= held.maturity_date <= add_months(market.as_of, rules.short_months)
    wanted &= (group >= 0) & (held.maturity_date > market.as_of)
    bucket = np.full(universe.name.size, -1)
    bucket[:size] = np.where(wanted & valued, group, -1)
    no_price = np.zeros(universe.name.size, dtype=bool)
    no_price[:size] = wanted & ~valued

    rate, correlation = np.array(rules.rates), np.array(rules.correlations)
    if not (rate.size and correlation.size):
        move = node_moves(market, rules.nodes, ficc, scenarios, store)
        time = NODES[[NODE_NAMES.index(name) for name in rules.nodes]]
        rate = rate if rate.size else time * worst_moves(move, ficc.level)
        correlation = correlation if correlation.size else _correlation(move)
    alone = np.isin([name for name, _, _ in rules.buckets], rules.uncorrelated)
    correlation[alone[:, None] | alone] = 0.0
    np.fill_diagonal(correlation, 1.0)
    return Haircuts(bucket, no_price, rate, correlation)


def without(cube: Cube, covered: Mask) -> Cube:
    """Return the cube with zero P&L for the marked instruments, [I x S]."""
    names = None if cube.scenario is None else cube.scenario.tolist()
    return Cube(np.where(covered[:, None], 0.0, cube.pnl), scenario=names)


def haircut_amount(book: Book, universe: Universe, haircuts: Haircuts) -> Float:
    """Return the haircut amount of every portfolio, [R x 5], USD.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    universe : Universe
        Market values per lot.
    haircuts : Haircuts
        From `haircut_method`.

    Returns
    -------
    ndarray of float64, [R x 5]

    Notes
    -----
    sqrt(sum_ij rho_ij h_i m_i h_j m_j), where m_i is the net market value of a bucket.
    """
    buckets = haircuts.rate.size
    net = portfolio_sums(book, FICC, universe.market_value, haircuts.bucket, buckets)
    return haircut(np.moveaxis(net * haircuts.rate, -1, 0), haircuts.correlation)


class SingleHaircut:
    """`haircut_amount` of one account."""

    def __init__(self, universe: Universe, haircuts: Haircuts) -> None:
        self._sums = BucketSums(FICC, universe.market_value, haircuts.bucket)
        self._rate: list[float] = haircuts.rate.tolist()
        self._correlation: list[list[float]] = haircuts.correlation.tolist()

    def __call__(self, held: Held) -> Portfolios:
        """Return the amount of each margin portfolio, USD."""
        return of_each(self._sums(held), self._amount)

    def _amount(self, sums: Buckets) -> float:
        at = [number for number, _ in sums]
        risk = [net * self._rate[number] for number, net in sums]
        return _scalar.haircut(risk, [[self._correlation[i][j] for j in at] for i in at])


def _correlation(move: Float) -> Float:
    """Return the correlation of columns, [B x B]; zero for a column that does not move."""
    mean = exact.ordered_sum(move, axis=0) / move.shape[0]
    away = move - mean
    covariance = exact.ordered_sum(away[:, :, None] * away[:, None, :], axis=0)
    deviation = np.sqrt(np.diag(covariance))
    product = deviation[:, None] * deviation
    correlation = np.zeros(covariance.shape)
    np.divide(covariance, product, out=correlation, where=product > 0.0)
    return np.clip(correlation, -1.0, 1.0)
