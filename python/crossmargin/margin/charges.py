"""Charges of the policy beside V (methodology, section 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Integer
from crossmargin.conventions import (
    CME,
    FICC,
    OWN_SEGMENTS,
    PORTFOLIOS,
    SEGMENTS,
    UNIONS,
)
from crossmargin.engine import Book
from crossmargin.exceptions import InputError
from crossmargin.instruments.schedule import add_months
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import FORWARD_CASH, Universe
from crossmargin.margin.ficc.haircuts import maturity_group, node_moves, worst_moves
from crossmargin.margin.portfolios import CcpMargin, portfolio_sums, row_of
from crossmargin.market import Market
from crossmargin.market.calendars import DAY, add_business_days
from crossmargin.market.curve import years_between
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import Charge, CmeConcentration, CmeLiquidity, Policy
from crossmargin.policies.sections import OWN_CHARGES

REPO_RATE, LIQUIDITY, HOLIDAY = OWN_CHARGES


@dataclass(frozen=True)
class ModelCharge:
    """A charge of FICC's own, which is no rate on gross market value; outside the reduction."""

    name: str
    ccp: str = FICC
    reducible: bool = False


@dataclass(frozen=True)
class Charged:
    """A charge and its amount for every portfolio of its house, [R x 5], USD."""

    charge: Charge | ModelCharge | CmeLiquidity | CmeConcentration
    amount: Float


@dataclass(frozen=True)
class Exposures:
    """USD per lot of each instrument, in buckets that have a rate each.

    Attributes
    ----------
    bucket : ndarray of int64, [I]
        -1 for an instrument that has none.
    value : ndarray of float64, [I]
    rate : ndarray of float64, [B]
    """

    bucket: Integer
    value: Float
    rate: Float


@dataclass(frozen=True)
class ChargeRules:
    """What FICC's own charges take from a run, each None where the policy has no table for it.

    Attributes
    ----------
    repo_rate : Exposures, optional
        Present value times years of forward cash leg, and the move of its repo rate.
    liquidity : Exposures, optional
        Market value of securities, and the market impact of selling them.
    liquidity_threshold : float
        Charged where the cost is more than this share of V.
    holiday : float, optional
        Share of V; None on a day that is not before a holiday.
    """

    repo_rate: Exposures | None = None
    liquidity: Exposures | None = None
    liquidity_threshold: float = 0.0
    holiday: float | None = None


def charge_rules(
    universe: Universe,
    held: Securities,
    market: Market,
    policy: Policy,
    store: ScenarioStore | None = None,
) -> ChargeRules:
    """Return what the policy's tables of charges say of a run's instruments.

    Parameters
    ----------
    universe : Universe
        Its first instruments are the securities of the book.
    held : Securities
        Those, in the same order.
    market : Market
        The as-of date, and the history of what is calibrated.
    policy : Policy
    store : ScenarioStore, optional
        Keeps the scenarios for the next call.

    Returns
    -------
    ChargeRules

    Notes
    -----
    A calibrated repo rate moves by what 99% of the model's scenarios keep within at the bucket's
    node.
    """
    repo = liquidity = holiday = None
    threshold = 0.0
    if policy.repo_rate is not None:
        rules = policy.repo_rate
        cash = np.flatnonzero(universe.kind == FORWARD_CASH)
        due = np.array([name.removeprefix("USD ") for name in universe.name[cash]], "datetime64[D]")
        ends = add_months(market.as_of, rules.term_months)
        bucket = np.full(universe.name.size, -1)
        bucket[cash] = np.minimum(np.searchsorted(ends, due, side="left"), ends.size - 1)
        value = np.zeros(universe.name.size)
        value[cash] = universe.price[cash] * np.maximum(years_between(market.as_of, due), 0.0)
        rate = rules.rates or worst_moves(
            node_moves(market, rules.nodes, policy.ficc, policy.scenarios, store),
            policy.ficc.level,
        )
        repo = Exposures(bucket, value, np.asarray(rate))
    if policy.liquidity is not None:
        bucket = np.full(universe.name.size, -1)
        bucket[: held.cusip.size] = maturity_group(held, policy.liquidity.groups, market.as_of)
        liquidity = Exposures(bucket, universe.market_value, np.asarray(policy.liquidity.rates))
        threshold = policy.liquidity.threshold
    if policy.holiday is not None and before_holiday(market.as_of):
        holiday = policy.holiday.rate
    return ChargeRules(repo, liquidity, threshold, holiday)


def before_holiday(date: np.datetime64) -> bool:
    """Return whether a weekday on which the bond market is closed comes before it opens again."""
    opens = add_business_days(date, 1, "bond")
    # NumPy counts weekdays from the first day to the one before the last.
    return bool(np.busday_count(date + DAY, opens) > 0)


def ficc_charges(book: Book, margin: CcpMargin, rules: ChargeRules) -> list[Charged]:
    """Return FICC's own charges, outside the reduction.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    margin : CcpMargin
        V_F of every portfolio.
    rules : ChargeRules
        From `charge_rules`.

    Returns
    -------
    list of Charged
        Repo rate: sum over buckets of |net exposure| times the rate. Liquidity: the sum of |net
        market value| times the rate, where it is more than a share of V. Holiday: a share of V.
    """
    charged = []
    if rules.repo_rate is not None:
        charged.append(Charged(ModelCharge(REPO_RATE), _net_cost(book, rules.repo_rate)))
    if rules.liquidity is not None:
        cost = _net_cost(book, rules.liquidity)
        due = np.where(cost > rules.liquidity_threshold * margin.v, cost, 0.0)
        charged.append(Charged(ModelCharge(LIQUIDITY), due))
    if rules.holiday is not None:
        charged.append(Charged(ModelCharge(HOLIDAY), rules.holiday * margin.v))
    return charged


def _net_cost(book: Book, exposures: Exposures) -> Float:
    """Return the sum over buckets of |net exposure| times the bucket's rate, [R x 5]."""
    net = portfolio_sums(book, FICC, exposures.value, exposures.bucket, exposures.rate.size)
    return exact.ordered_sum(np.abs(net) * exposures.rate)


@dataclass(frozen=True)
class Volumes:
    """Average daily volumes as a universe needs them.

    Attributes
    ----------
    adv : ndarray of float64, [N]
        Contracts a day.
    number : ndarray of int64, [I]
        Which of them an instrument has; contracts that share one are counted together. The first
        is of all that is not charged.
    """

    adv: Float
    number: Integer


def volumes_of(universe: Universe, adv: Mapping[str, float], rules: CmeConcentration) -> Volumes:
    """Return the volume of every contract that the policy charges.

    Parameters
    ----------
    universe : Universe
        Names and roots of the contracts.
    adv : mapping of str to float
        Contracts a day, by contract (`ZNM25`) or root; a contract's own goes before its root's.
    rules : CmeConcentration
        The roots that are charged.

    Returns
    -------
    Volumes

    Raises
    ------
    InputError
        A contract that may be charged has no volume; the message names it and its root.
    """
    charged = {root for root, _ in rules.rate}
    place: dict[str, int] = {}
    number = np.zeros(universe.name.size, dtype=np.int64)
    for i, (name, root) in enumerate(zip(universe.name, universe.root, strict=True)):
        if root not in charged:
            continue
        key = name if name in adv else root
        if key not in adv:
            raise InputError(
                f"volumes: {root} is charged by its average daily volume, and {name} has none; "
                f"give a row for {root} or {name} (volumes=, --volumes)"
            )
        number[i] = place.setdefault(key, len(place) + 1)
    return Volumes(np.array([0.0, *(adv[key] for key in place)]), number)


def charge(book: Book, universe: Universe, charges: tuple[Charge, ...]) -> list[Charged]:
    """Return the amount of each charge.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    universe : Universe
        Market values per lot or contract.
    charges : tuple of Charge
        From the policy.

    Returns
    -------
    list of Charged
        Each house charges its own positions only.
    """
    value = universe.market_value
    gross = {house: _gross(book, house, value) for house in {c.ccp for c in charges}}
    return [Charged(c, c.rate * gross[c.ccp]) for c in charges]


def charge_liquidity(book: Book, universe: Universe, rules: CmeLiquidity) -> Charged:
    """Return the cost of closing every contract: USD a contract of its root times |contracts|.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    universe : Universe
        The roots of the contracts.
    rules : CmeLiquidity
        From the policy; a root it does not name costs nothing.

    Returns
    -------
    Charged
    """
    return Charged(rules, _gross(book, CME, _of_root(rules.cost, universe)))


def charge_concentration(
    book: Book, universe: Universe, rules: CmeConcentration, volumes: Volumes | None
) -> Charged:
    """Return the add-on for contracts beyond a share of average daily volume.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    universe : Universe
        The roots of the contracts.
    rules : CmeConcentration
        From the policy; a root it does not name is not charged.
    volumes : Volumes
        From `volumes_of`.

    Returns
    -------
    Charged

    Raises
    ------
    ValueError
        There are no volumes.

    Notes
    -----
    Methodology, section 5. The contracts that share a volume are counted together, long or short:
    the sum of |contracts|. What is beyond threshold * volume costs the root's rate each.
    """
    if volumes is None:
        raise ValueError("a policy that charges concentration needs volumes")
    rate = np.zeros(volumes.adv.size)
    rate[volumes.number] = _of_root(rules.rate, universe)
    amount = np.zeros((book.rows // len(SEGMENTS), len(PORTFOLIOS)))
    for portfolio, group, instrument, net in _net(book, CME):
        cell = group * volumes.adv.size + volumes.number[instrument]
        held = np.bincount(cell, np.abs(net), amount.shape[0] * volumes.adv.size)
        beyond = held.reshape(amount.shape[0], -1) - rules.threshold * volumes.adv
        amount[:, portfolio] = exact.ordered_sum(rate * np.maximum(beyond, 0.0))
    return Charged(rules, amount)


def _of_root(amounts: tuple[tuple[str, float], ...], universe: Universe) -> Float:
    """Return the amount of each instrument's root, [I]; zero where none is given."""
    by_root = dict(amounts)
    return np.array([by_root.get(root, 0.0) for root in universe.root.tolist()])


def _gross(book: Book, house: str, each: Float) -> Float:
    """Return the sum of |net quantity * each| over a ccp's own positions by portfolio, [R x 5].

    `each` is of one lot or contract of an instrument, [I].
    """
    total = np.zeros((book.rows // len(SEGMENTS), len(PORTFOLIOS)))
    for portfolio, group, instrument, net in _net(book, house):
        total[:, portfolio] = np.bincount(group, np.abs(net * each[instrument]), total.shape[0])
    return total


def _net(book: Book, house: str) -> Iterator[tuple[int, Integer, Integer, Float]]:
    """Yield each portfolio and the ccp's own netted positions: group, instrument, quantity."""
    row = row_of(book)
    group, segment = row // len(SEGMENTS), row % len(SEGMENTS)
    for portfolio, union in enumerate(UNIONS[house]):
        own = np.flatnonzero(np.isin(segment, [s for s in union if s in OWN_SEGMENTS[house]]))
        line, at = np.unique(group[own] * book.columns + book.column[own], return_inverse=True)
        net = np.asarray(np.bincount(at, book.quantity[own], line.size), np.float64)
        yield portfolio, line // book.columns, line % book.columns, net
