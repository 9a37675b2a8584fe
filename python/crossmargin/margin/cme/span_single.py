"""The model by scan ranges for one account in plain numbers; see `span` for the model."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from crossmargin.conventions import CME
from crossmargin.engine.netting import FewPairs, FewSpreads
from crossmargin.exact import sum_of
from crossmargin.margin.cme._scalar import held_on_side, scan_loss, v_span
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
        self._usd: list[float] = np.nan_to_num(model.ranges.usd).tolist()
        rules = model.rules
        self._largest = max(scan_moves(rules.extreme_multiple, rules.extreme_cover))
        charge = dict(rules.delivery_charges)
        self._delivery = [charge.get(root, 0.0) for root in model.ranges.root]
        self._tiers: dict[int, Tiers] = {}
        for k, root in enumerate(model.ranges.root):
            spreads = rules.spreads_within(root)
            if spreads:
                a, b, usd = zip(*spreads, strict=True)
                tiers = rules.tiers_of(root)
                pairs = FewPairs(tier_a=a, tier_b=b, charge=usd, tiers=len(tiers))
                self._tiers[k] = tiers, pairs
        self._spreads = None
        if model.spreads:
            self._spreads = FewSpreads(**legs_of_spreads(model.spreads), commodities=len(self._usd))

    def __call__(self, held: Held) -> Portfolios:
        """Return V_C of each margin portfolio, USD; infinite where a component is too large."""
        net_rows, risk_rows = [], []
        scan: list[float] = []
        intra: list[float] = []
        delivery: list[float] = []
        for deltas in self._sums(held):
            net, risk = [0.0] * len(self._usd), [0.0] * len(self._usd)
            charged, delivered = [], []
            # Contracts are numbered in the order of the instruments, not of their roots.
            for k, own in groupby(sorted((self._root[c], c, delta) for c, delta in deltas), _first):
                contracts = [(c, delta) for _, c, delta in own]
                net[k] = sum_of([delta for _, delta in contracts])
                risk[k] = scan_loss(net[k], self._usd[k], self._largest)
                if self._delivery[k]:
                    due = [abs(delta) for c, delta in contracts if self._month[c] <= 0]
                    delivered.append(self._delivery[k] * sum_of(due))
                if k in self._tiers:
                    charged.append(self._intra(k, contracts))
            net_rows.append(net)
            risk_rows.append(risk)
            scan.append(sum_of(risk))
            intra.append(sum_of(charged))
            delivery.append(sum_of(delivered))
        credit = self._credit(net_rows, risk_rows)
        # An infinite or absurd component is an error of the model's, and NaN is not smaller.
        if not all(
            amount <= LARGEST_MARGIN for part in (scan, intra, delivery, credit) for amount in part
        ):
            return TOO_LARGE
        return v_span(_five(scan), _five(intra), _five(delivery), _five([-c for c in credit]))

    def _intra(self, k: int, contracts: Buckets) -> float:
        """Return the charge for spreads between the tiers of a root."""
        tiers, pairs = self._tiers[k]
        deltas = [[d for c, d in contracts if a <= self._month[c] <= b] for a, b in tiers]
        long, short = ([held_on_side(tier, side) for tier in deltas] for side in (1.0, -1.0))
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


def _first(item: tuple[int, int, float]) -> int:
    return item[0]


def _five(amounts: list[float]) -> Portfolios:
    cash, futures, both, other, whole = amounts
    return cash, futures, both, other, whole
