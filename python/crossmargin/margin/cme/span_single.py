"""The model by scan ranges for one account in plain numbers; see `span` for the model."""

from __future__ import annotations

import numpy as np

from crossmargin.conventions import CME
from crossmargin.engine.netting import FewPairs, FewSpreads
from crossmargin.exact import sum_of
from crossmargin.margin.cme._scalar import held_on_side, scan_loss, spread_delta, v_span
from crossmargin.margin.cme.span import SpanModel, legs_of_spreads, scan_moves
from crossmargin.margin.model import LARGEST_MARGIN
from crossmargin.margin.portfolios import Portfolios
from crossmargin.margin.single import Buckets, BucketSums, Held

TOO_LARGE: Portfolios = (np.inf,) * 5
"""V where a component is too large for any account."""
Tiers = tuple[list[tuple[int, int]], FewPairs]
"""First and last month of each tier of a root, and the spreads between them."""


class SingleSpan:
    """V of `span_margin` for one account.

    Parameters
    ----------
    model : SpanModel
    """

    def __init__(self, model: SpanModel) -> None:
        self._sums = BucketSums(CME, model.delta, model.contract)
        self._root: list[int] = model.root.tolist()
        self._month: list[int] = model.month.tolist()
        self._range: list[int] = model.scan_range.tolist()
        ranges: list[float] = np.nan_to_num(model.ranges.usd).tolist()
        # The ranges in their order, each with the number of its root.
        self._ranges = [(k, ranges[t]) for k, own in enumerate(model.ranges.by_root) for t in own]
        rules = model.rules
        self._largest = max(scan_moves(rules.extreme_multiple, rules.extreme_cover))
        names = model.ranges.roots
        self._size = len(names)
        # In the order of the roots, in which the components are summed.
        self._delivery = dict(sorted((names.index(r), usd) for r, usd in rules.delivery_charges))
        self._tiers: dict[int, Tiers] = {}
        for k, root in enumerate(names):
            spreads = rules.spreads_within(root)
            if spreads:
                a, b, usd = zip(*spreads, strict=True)
                tiers = rules.tiers_of(root)
                pairs = FewPairs(tier_a=a, tier_b=b, charge=usd, tiers=len(tiers))
                self._tiers[k] = tiers, pairs
        self._spreads = None
        if model.spreads:
            self._spreads = FewSpreads(**legs_of_spreads(model.spreads), commodities=self._size)

    def __call__(self, held: Held) -> Portfolios:
        """Return V_C of each margin portfolio, USD; infinite where a component is too large."""
        root, number, largest = self._root, self._range, self._largest
        net_rows, risk_rows = [], []
        scan: list[float] = []
        intra: list[float] = []
        delivery: list[float] = []
        for deltas in self._sums(held):
            net, gain = [0.0] * self._size, [0.0] * self._size
            of_range = [0.0] * len(self._ranges)
            for contract, delta in deltas:
                net[root[contract]] += delta
                of_range[number[contract]] += delta
            for delta, (k, usd) in zip(of_range, self._ranges, strict=True):
                if delta:
                    gain[k] += delta * usd
            risk = [scan_loss(g, largest) if g else 0.0 for g in gain]
            net_rows.append([spread_delta(n, g) for n, g in zip(net, gain, strict=True)])
            risk_rows.append(risk)
            scan.append(sum_of(risk))
            intra.append(sum_of([self._intra(k, deltas) for k in self._tiers]))
            delivery.append(sum_of([self._delivered(k, deltas) for k in self._delivery]))
        credit = self._credit(net_rows, risk_rows)
        # An infinite or absurd component is an error of the model's, and NaN is not smaller.
        if not all(
            amount <= LARGEST_MARGIN for part in (scan, intra, delivery, credit) for amount in part
        ):
            return TOO_LARGE
        return v_span(_five(scan), _five(intra), _five(delivery), _five([-c for c in credit]))

    def _delivered(self, k: int, deltas: Buckets) -> float:
        """Return the charge on contracts of a root whose delivery month has begun."""
        due = [abs(d) for c, d in deltas if self._root[c] == k and self._month[c] <= 0]
        return self._delivery[k] * sum_of(due)

    def _intra(self, k: int, deltas: Buckets) -> float:
        """Return the charge for spreads between the tiers of a root."""
        ranges, pairs = self._tiers[k]
        own = [(self._month[c], d) for c, d in deltas if self._root[c] == k]
        if not own:
            return 0.0
        tiers = [[d for month, d in own if a <= month <= b] for a, b in ranges]
        long, short = ([held_on_side(tier, side) for tier in tiers] for side in (1.0, -1.0))
        amount = pairs(np.array([long]), np.array([short]))
        return np.inf if amount is None else sum_of(amount[0].tolist())

    def _credit(self, net: list[list[float]], risk: list[list[float]]) -> list[float]:
        """Return the credit of each margin portfolio, zero or more."""
        if self._spreads is None:
            return [0.0] * len(net)
        credit = self._spreads(np.array(net), np.array(risk))
        if credit is None:
            return [np.inf] * len(net)
        return [sum_of(row) for row in credit.tolist()]


def _five(amounts: list[float]) -> Portfolios:
    cash, futures, both, other, whole = amounts
    return cash, futures, both, other, whole
