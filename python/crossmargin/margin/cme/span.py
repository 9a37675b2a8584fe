"""The CME-like model by scan ranges: V_C = scan + intra + delivery - credit, never below zero.

Methodology, section 5. A combined commodity is a root; one contract has a delta of one. Cash
positions enter as futures-equivalents, as in the model by historical simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossmargin import engine, exact
from crossmargin.arrays import Float, Integer, Mask
from crossmargin.conventions import CME, PORTFOLIOS, SEGMENTS
from crossmargin.engine import Book, Execution, revalue
from crossmargin.engine.execution import DEFAULT_EXECUTION
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import month_number, roots
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.instruments.universe import FUTURE, TREASURY, Universe
from crossmargin.margin.cme.equivalents import Equivalents, equivalents, front_contract
from crossmargin.margin.cme.rule import held_on_side, scan_loss, spread_delta, v_span
from crossmargin.margin.cme.span_file import Key, SpanFile
from crossmargin.margin.cme.span_ranges import (
    CALIBRATED,
    FROM_FILE,
    NO_TIERS,
    QUARTERLY,
    SUPPLIED,
    ScanRanges,
    loss,
    months_ahead,
    range_name,
    scan_ranges,
)
from crossmargin.margin.observed import Outright
from crossmargin.margin.portfolios import CcpMargin, Items, holds, joined, portfolio_sums
from crossmargin.market import Market
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import Cme, Span, SpanTiers

THIRDS = (0, 0, 1, 1, -1, -1, 2, 2, -2, -2, 3, 3, -3, -3)
"""Price moves of SPAN's scenarios 1 to 14, in thirds of the scan range. Each comes twice, with
volatility up and down, which makes no difference to a future. 15 and 16 are the extreme moves."""
DELTA_STEPS = 2.0**32
"""A lot's delta is rounded to a multiple of 1 / this number. Sums of up to two million contracts
are then exact, in any order."""
BLOCK_GROUPS = 4096
"""Groups of a book that are worked on at once."""
COMPONENTS = ("scan", "intra", "delivery", "credit")


@dataclass(frozen=True)
class Spread:
    """An inter-commodity spread, resolved: legs as numbers of roots.

    Attributes
    ----------
    root : tuple of int
    ratio : tuple of float
        Deltas of each leg in one spread; negative for side B.
    rate : float
        Credit as a share of the scan risk of the deltas used.
    """

    root: tuple[int, ...]
    ratio: tuple[float, ...]
    rate: float


@dataclass(frozen=True)
class SpanModel:
    """The model's parameters, resolved for the instruments of a run.

    Attributes
    ----------
    rules : Span
        From the policy.
    ranges : ScanRanges
    spreads : tuple of Spread
        In order of priority.
    contract : ndarray of int64, [I]
        The contract, 0 to C - 1, of an instrument's delta; -1 for one without a delta.
    delta : ndarray of float64, [I]
        Contracts per lot or contract; zero for a forward cash leg.
    root, month, scan_range : ndarray of int64, [C]
        The number of each contract's root, its delivery in months after the as-of month, and the
        number of its scan range.
    priced : ndarray of bool, [I]
        The instruments that the model covers.
    from_file : tuple of str
        The parameters that came from a SPAN file.
    """

    rules: Span
    ranges: ScanRanges
    spreads: tuple[Spread, ...]
    contract: Integer
    delta: Float
    root: Integer
    month: Integer
    scan_range: Integer
    priced: Mask
    from_file: tuple[str, ...] = ()

    def legs_of(self, spread: Spread) -> list[tuple[str, float]]:
        """Return root and ratio of each leg."""
        return [(self.ranges.roots[k], r) for k, r in zip(spread.root, spread.ratio, strict=True)]

    def spread_names(self) -> tuple[str, ...]:
        """Return each spread's legs as text: ``ZT 3 : Z3N -2``."""
        return tuple(
            " : ".join(f"{root} {ratio:g}" for root, ratio in self.legs_of(spread))
            for spread in self.spreads
        )

    def describe(self) -> dict[str, Any]:
        """Return the calibrated parameters next to the supplied ones, as plain values."""
        if "spread_rates" in self.from_file:
            rates = FROM_FILE
        else:
            rates = SUPPLIED if self.rules.spread_rates else CALIBRATED
        return {
            "calibration_rows": self.rules.calibration_rows,
            "calibration_level": self.rules.calibration_level,
            "from_file": list(self.from_file),
            "scan_ranges": self.ranges.describe(),
            "spreads": [
                {
                    "legs": [[root, ratio] for root, ratio in self.legs_of(spread)],
                    "rate": spread.rate,
                    "origin": rates,
                }
                for spread in self.spreads
            ],
        }


@dataclass(frozen=True)
class SpanDetail:
    """The parts of V by root, [R x 5 x K], and by spread, [R x 5 x P].

    Attributes
    ----------
    net_delta : ndarray of float64, [R x 5 x K]
        Contracts.
    gain : ndarray of float64, [R x 5 x K]
        USD when the price of each contract rises by its scan range.
    scan, intra, delivery : ndarray of float64, [R x 5 x K]
        USD.
    scenario : ndarray of int64, [R x 5 x K]
        The active scenario, 1 to 16; the lowest of those with the largest loss.
    spreads, credit : ndarray of float64, [R x 5 x P]
        How many of each spread are formed, and the credit for them, USD.
    """

    net_delta: Float
    gain: Float
    scan: Float
    scenario: Integer
    intra: Float
    delivery: Float
    spreads: Float
    credit: Float

    def amounts(self) -> dict[str, Float]:
        """Return the amounts whose sum is V, before V is cut off at zero."""
        return dict(
            zip(COMPONENTS, (self.scan, self.intra, self.delivery, -self.credit), strict=True)
        )

    def items(self, model: SpanModel, first: int) -> list[Items]:
        """Return the parts of each component; the rows are the groups from `first` on."""
        quantity = {"scan": self.net_delta, "credit": self.spreads}
        scenario = {"scan": self.scenario}
        found = []
        for component, amount in self.amounts().items():
            at = np.nonzero(amount)
            found.append(
                Items(
                    component,
                    model.spread_names() if component == "credit" else model.ranges.roots,
                    group=at[0] + first,
                    portfolio=at[1],
                    item=at[2],
                    amount=amount[at],
                    quantity=quantity[component][at] if component in quantity else None,
                    scenario=scenario[component][at] if component in scenario else None,
                )
            )
        return found


def span_model(
    universe: Universe,
    market: Market,
    cme: Cme,
    rules: Span,
    file: SpanFile | None = None,
    *,
    tiers: SpanTiers = NO_TIERS,
    equivalent: Equivalents | None = None,
    store: ScenarioStore | None = None,
    execution: Execution = DEFAULT_EXECUTION,
) -> SpanModel:
    """Return the model; parameters that are not supplied are calibrated from history.

    Parameters
    ----------
    universe : Universe
        It holds the front contract of every root, and those of `equivalent_contracts` and
        `tier_contracts`.
    market : Market
        The history.
    cme : Cme
        Horizon, and which root stands for cash.
    rules : Span
        From the policy.
    file : SpanFile, optional
        What it holds replaces the policy's parameters.
    tiers : SpanTiers, optional
        Roots with scan ranges by tier.
    equivalent : Equivalents, optional
        What stands for each Treasury; without it the contract of its bucket, by DV01.
    store : ScenarioStore, optional
        Keeps the scenarios for the next call.
    execution : Execution

    Returns
    -------
    SpanModel

    Raises
    ------
    HistoryShortError
        The history has fewer rows than the calibration looks back.
    InputError
        The file is dated after the run or is too old, or the run uses nothing in it.

    Notes
    -----
    Scan range: the k-th largest absolute P&L of one front contract over the unscaled moves of the
    look-back, k as for VaR; of a tier the largest of those of its quarterly contracts. Rate of a
    spread: 1 - the same measure of the spread's position over the sum of its legs', at least zero;
    zero where a leg has no priced front contract.
    """
    from_file: tuple[str, ...] = ()
    if file is not None:
        rules, tiers, from_file = with_file(rules, tiers, file, market.as_of)
    scenarios = (store or ScenarioStore()).of(
        market.history,
        horizon=cme.horizon,
        look_back=rules.calibration_rows,
        minimum=rules.calibration_rows,
        stress=(),
        scaling=None,
    )
    pnl = revalue(universe.terms, scenarios.shock, **execution.kernels)
    number = {name: i for i, name in enumerate(universe.name.tolist())}
    names = roots()
    front = []
    for root in names:
        contract = front_contract(root, market.as_of)
        at = -1 if contract is None else number.get(contract.symbol, -1)
        front.append(at if at >= 0 and universe.priced[at] else -1)
    moves = np.array([pnl[at] if at >= 0 else np.full(pnl.shape[1], np.nan) for at in front])
    ranges = scan_ranges(
        dict(zip(names, front, strict=True)),
        pnl,
        universe,
        market.as_of,
        rules,
        tiers,
        from_file,
    )
    rates = rules.spread_rates or tuple(
        _offset(legs, names, moves, rules.calibration_level) for legs in rules.spreads
    )
    spreads = tuple(
        Spread(
            tuple(names.index(root) for root, _, _ in legs),
            tuple(ratio if side == "A" else -ratio for _, ratio, side in legs),
            rate,
        )
        for legs, rate in zip(rules.spreads, rates, strict=True)
    )
    equivalent = equivalent or equivalents(universe, cme, market.as_of)
    return _resolved(universe, market.as_of, equivalent, rules, ranges, spreads, from_file)


def scaled_ranges(model: SpanModel, outrights: Sequence[Outright]) -> SpanModel:
    """Return a model with the scan ranges of each root multiplied by its outright's factor."""
    of = {one.observed.instrument: one.factor for one in outrights}
    ranges = model.ranges
    factor = np.array([of.get(root, 1.0) for root in ranges.root])
    return replace(model, ranges=replace(ranges, usd=ranges.usd * factor))


def with_file(
    rules: Span, tiers: SpanTiers, file: SpanFile, as_of: np.datetime64
) -> tuple[Span, SpanTiers, tuple[str, ...]]:
    """Return a policy's parameters, replaced by those that a SPAN file holds.

    Parameters
    ----------
    rules : Span
        Their product codes say what the file calls each root.
    tiers : SpanTiers
        Roots with scan ranges by tier.
    file : SpanFile
        Its tiers are not used: the charges between them are in records that are not decoded.
    as_of : datetime64[D]

    Returns
    -------
    rules : Span
    tiers : SpanTiers
    taken : tuple of str
        Names of the parameters that came from the file: `scan_ranges.ZN`, `scan_ranges.SR3.1`,
        `spreads`, ...

    Raises
    ------
    InputError
        The file is dated later or is too old, or it has nothing for these roots.
    """
    file.check_age(as_of)
    ranges, delivery = dict(rules.scan_ranges), dict(rules.delivery_charges)
    of_tier = {(root, tier): usd for root, tier, usd in tiers.ranges}
    root_of: dict[Key, str] = {}
    taken = []
    for root, exchange, product in rules.product_codes:
        commodity = file.commodity.get((exchange, product))
        if commodity not in file.in_dollars:
            continue
        root_of[commodity] = root
        front = front_contract(root, as_of)
        seen = file.scan_range.get((exchange, product), {})
        own = tiers.tiers_of(root)
        if not own and front is not None and seen.get(front.month, 0.0) > 0.0:
            ranges[root] = seen[front.month]
            taken.append(range_name(root, 0))
        for tier, (first, last) in enumerate(own, start=1):
            usd = [
                usd
                for month, usd in seen.items()
                if first <= months_ahead(month, as_of) <= last and month_number(month) in QUARTERLY
            ]
            if max(usd, default=0.0) > 0.0:
                of_tier[root, tier] = max(usd)
                taken.append(range_name(root, tier))
        months = file.delivery.get(commodity[1], {})
        begun = [amount for month, amount in months.items() if month <= as_of]
        if begun:
            delivery[root] = max(begun)
            taken.append(f"delivery_charges.{root}")
    spreads, rates = [], []
    for spread in file.spreads:
        legs = tuple((root_of.get(key, ""), ratio, side) for key, ratio, side in spread.legs)
        # A spread with another product cannot be formed by these roots.
        if "" not in (root for root, _, _ in legs) and {s for _, _, s in legs} == {"A", "B"}:
            spreads.append(legs)
            rates.append(spread.rate)
    changed = replace(
        rules,
        scan_ranges=tuple(ranges.items()),
        delivery_charges=tuple(delivery.items()),
    )
    if spreads:
        changed = replace(changed, spreads=tuple(spreads), spread_rates=tuple(rates))
        taken += ["spreads", "spread_rates"]
    if not taken:
        raise InputError(
            "span file: it has nothing for our roots; check the policy's span.product_codes "
            "against the file's commodities"
        )
    for message, kept in changed.rules().items():
        if not kept:
            raise InputError(f"span file: {message}")
    by_tier = replace(tiers, ranges=tuple((*key, usd) for key, usd in of_tier.items()))
    return changed, by_tier, tuple(taken)


def _offset(
    legs: Sequence[tuple[str, float, str]], names: tuple[str, ...], moves: Float, level: float
) -> float:
    """Return one minus the risk of a spread's position as a share of its legs'."""
    position = np.zeros(moves.shape[1])
    apart = 0.0
    for root, ratio, side in legs:
        move = moves[names.index(root)]
        position = position + (ratio if side == "A" else -ratio) * move
        apart += ratio * loss(np.abs(move), level)
    if not apart > 0.0:
        return 0.0
    return max(0.0, 1.0 - loss(np.abs(position), level) / apart)


def _resolved(
    universe: Universe,
    as_of: np.datetime64,
    equivalent: Equivalents,
    rules: Span,
    ranges: ScanRanges,
    spreads: tuple[Spread, ...],
    from_file: tuple[str, ...],
) -> SpanModel:
    """Return the model: the parameters, with the deltas of all instruments."""
    size = universe.name.size
    futures = np.flatnonzero(universe.kind == FUTURE)
    column = np.full(size, -1, dtype=np.int64)
    column[futures] = np.arange(futures.size)
    delta = np.zeros(size)
    delta[futures] = 1.0
    stands_for, priced = equivalent.contract, equivalent.priced.copy()
    treasury = np.flatnonzero(universe.kind == TREASURY)
    column[treasury] = np.where(stands_for >= 0, column[stands_for], -1)
    delta[treasury] = np.rint(equivalent.ratio * DELTA_STEPS) / DELTA_STEPS
    names = universe.root[futures].tolist()
    root = np.array([ranges.roots.index(name) for name in names], dtype=np.int64)
    month = [
        months_ahead(parse_contract(name, as_of).month, as_of)
        for name in universe.name[futures].tolist()
    ]
    number = np.array(list(map(ranges.number, names, month)), dtype=np.int64)
    # A future needs only its scan range.
    priced[futures] = True
    in_contract = column >= 0
    priced[in_contract] &= ~np.isnan(ranges.usd[number[column[in_contract]]])
    return SpanModel(
        rules=rules,
        ranges=ranges,
        spreads=spreads,
        contract=column,
        delta=np.where(priced, delta, 0.0),
        root=root,
        month=np.array(month, dtype=np.int64),
        scan_range=number,
        priced=priced,
        from_file=from_file,
    )


def span_margin(
    book: Book, model: SpanModel, *, execution: Execution = DEFAULT_EXECUTION
) -> CcpMargin:
    """Return V_C of every portfolio.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    model : SpanModel
    execution : Execution

    Returns
    -------
    CcpMargin
        Components scan, intra, delivery and credit (negative). V is their sum, at least zero. Their
        parts are by root and by spread.
    """
    groups = book.rows // len(SEGMENTS)
    component = {name: np.zeros((groups, len(PORTFOLIOS))) for name in COMPONENTS}
    items: list[list[Items]] = []
    for first in range(0, groups, BLOCK_GROUPS):
        last = min(first + BLOCK_GROUPS, groups)
        rows = _rows(book, first * len(SEGMENTS), last * len(SEGMENTS))
        detail = span_detail(rows, model, execution=execution)
        for name, amount in detail.amounts().items():
            component[name][first:last] = exact.ordered_sum(amount)
        items.append(detail.items(model, first))
    v = v_span(*(component[name] for name in COMPONENTS))
    of_component = [joined(blocks) for blocks in zip(*items, strict=True)]
    return CcpMargin(CME, v, holds(book, CME, ~model.priced), component, of_component)


def span_detail(
    book: Book, model: SpanModel, *, execution: Execution = DEFAULT_EXECUTION
) -> SpanDetail:
    """Return the parts of V by root and by spread.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    model : SpanModel
    execution : Execution

    Returns
    -------
    SpanDetail
    """
    rules, usd = model.rules, np.nan_to_num(model.ranges.usd)
    delta = portfolio_sums(book, CME, model.delta, model.contract, max(1, model.root.size))
    shape = (*delta.shape[:2], len(model.ranges.roots))
    net, gain, intra, delivery = (np.zeros(shape) for _ in range(4))
    charge = dict(rules.delivery_charges)
    for k, root in enumerate(model.ranges.roots):
        of_root = np.flatnonzero(model.root == k)
        own, month = delta[..., of_root], model.month[of_root]
        net[..., k] = exact.ordered_sum(own)
        for number in model.ranges.by_root[k]:
            of_range = own[..., model.scan_range[of_root] == number]
            gain[..., k] += exact.ordered_sum(of_range) * usd[number]
        delivery[..., k] = charge.get(root, 0.0) * exact.ordered_sum(np.abs(own[..., month <= 0]))
        tiers = [own[..., (a <= month) & (month <= b)] for a, b in rules.tiers_of(root)]
        within = rules.spreads_within(root)
        intra[..., k] = intra_charge(tiers, within, shape[:2], execution=execution)
    scan, scenario = scan_risk(gain, rules.extreme_multiple, rules.extreme_cover)
    delta = spread_delta(net, gain)
    formed, credit = spread_credits(delta, scan, model.spreads, execution=execution)
    return SpanDetail(net, gain, scan, scenario, intra, delivery, formed, credit)


def scan_risk(gain: Float, multiple: float, cover: float) -> tuple[Float, Integer]:
    """Return the largest loss over SPAN's sixteen scenarios, and the first scenario with it.

    Parameters
    ----------
    gain : ndarray of float64, [... x K]
        USD when the price of each contract rises by its scan range.
    multiple, cover : float
        The extreme move in scan ranges, and the share of its loss that counts.

    Returns
    -------
    risk : ndarray of float64, [... x K]
    scenario : ndarray of int64, [... x K]
        1 to 16.
    """
    moves = scan_moves(multiple, cover)
    # Each move comes both ways: the largest one decides, whatever the direction.
    risk = scan_loss(gain, max(moves))
    scenario = np.ones(gain.shape, dtype=np.int64)
    for number in range(len(moves), 0, -1):
        scenario[gain * -moves[number - 1] == risk] = number
    return risk, scenario


def scan_moves(multiple: float, cover: float) -> list[float]:
    """Return the price moves of SPAN's scenarios 1 to 16, in scan ranges; each comes both ways."""
    return [*(third / 3.0 for third in THIRDS), multiple * cover, -multiple * cover]


def intra_charge(
    tiers: Sequence[Float],
    spreads: Sequence[tuple[int, int, float]],
    shape: tuple[int, ...],
    *,
    execution: Execution = DEFAULT_EXECUTION,
) -> Float:
    """Return the charge for spreads between the tiers of one root.

    Parameters
    ----------
    tiers : sequence of ndarray of float64, [... x contracts]
        Net delta of the contracts of each tier.
    spreads : sequence of (tier, tier, USD)
        In order of priority. The charge is for one delta long in one tier and one short in the
        other (or in the same one); each delta is used once.
    shape : tuple of int
        Of the result.
    execution : Execution

    Returns
    -------
    ndarray of float64, [...]
    """
    if not spreads:
        return np.zeros(shape)
    long, short = (
        np.stack([_tier_sum(tier, side, shape).ravel() for tier in tiers], 1)
        for side in (1.0, -1.0)
    )
    a, b, usd = zip(*spreads, strict=True)
    charged = engine.tier_charges(long, short, tier_a=a, tier_b=b, charge=usd, **execution.kernels)
    return exact.ordered_sum(charged.charge).reshape(shape)


def _tier_sum(tier: Float, side: float, shape: tuple[int, ...]) -> Float:
    """Return a tier's deltas on one side, of the given shape; a tier may have no contract."""
    return np.asarray(np.broadcast_to(held_on_side(np.moveaxis(tier, -1, 0), side), shape))


def spread_credits(
    net: Float,
    risk: Float,
    spreads: Sequence[Spread],
    *,
    execution: Execution = DEFAULT_EXECUTION,
) -> tuple[Float, Float]:
    """Return how many of each spread between roots are formed, and the credit for them.

    Parameters
    ----------
    net : ndarray of float64, [... x K]
        Net delta, contracts.
    risk : ndarray of float64, [... x K]
        Scan risk, USD.
    spreads : sequence of Spread
        P, in order of priority.
    execution : Execution

    Returns
    -------
    count, credit : ndarray of float64, [... x P]
        The credit in USD, zero or more.
    """
    shape = (*net.shape[:-1], len(spreads))
    if not spreads:
        return np.zeros(shape), np.zeros(shape)
    formed = engine.spread_credits(
        net.reshape(-1, net.shape[-1]),
        risk.reshape(-1, net.shape[-1]),
        **legs_of_spreads(spreads),
        **execution.kernels,
    )
    return formed.count.reshape(shape), formed.credit.reshape(shape)


def legs_of_spreads(spreads: Sequence[Spread]) -> dict[str, Any]:
    """Return spreads between roots, at least one, as arguments of `engine.spread_credits`."""
    legs = [leg for spread in spreads for leg in zip(spread.root, spread.ratio, strict=True)]
    root, ratio = (np.array(part) for part in zip(*legs, strict=True))
    return {
        "leg_ptr": np.cumsum([0, *(len(spread.root) for spread in spreads)]),
        "leg_commodity": root,
        "leg_ratio": np.abs(ratio),
        "leg_side": np.sign(ratio).astype(np.int64),
        "rate": [spread.rate for spread in spreads],
    }


def _rows(book: Book, first: int, last: int) -> Book:
    """Return some rows of a book."""
    ptr = book.row_ptr[first : last + 1]
    held = slice(int(ptr[0]), int(ptr[-1]))
    return Book.from_arrays(ptr - ptr[0], book.column[held], book.quantity[held], book.columns)
