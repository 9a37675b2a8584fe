"""The history of the market's factors: rates and bases of past days, and how they changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from crossmargin.arrays import Dates, Float, Mask
from crossmargin.market.basis import Basis
from crossmargin.market.curve import NODES, TREASURY_FACTORS
from crossmargin.market.frozen import Frozen, read_only
from crossmargin.market.short_rates import ShortRates, node_zero_rates
from crossmargin.market.sofr import Sofr


@dataclass(frozen=True, eq=False)
class History(Frozen):
    """The past days that scenarios are chosen from. Compared by identity.

    Attributes
    ----------
    date : ndarray of datetime64[D], [T]
        Ascending.
    par_yield : ndarray of float64, [T x 11]
        Par yields of those days, decimal.
    zero_rate : ndarray of float64, [T x 11]
        Continuous zero rates at the nodes, decimal.
    basis : dict of str to Basis
        By root; a future of a root without one moves with its model price alone.
    sofr : Sofr, optional
        History of the SOFR curve; without it short-rate futures move with the Treasury curve.
    short_rates : ShortRates, optional
        How short rates follow from notes and the funds rate, where the policy says so.
    skipped_rows : int
        Rows of the par yields since the first of these days that lack a node.
    """

    date: Dates
    par_yield: Float
    zero_rate: Float
    basis: dict[str, Basis] = field(default_factory=dict)
    sofr: Sofr | None = None
    short_rates: ShortRates | None = None
    skipped_rows: int = 0

    @property
    def factor(self) -> tuple[str, ...]:
        """Names of the factors, [K].

        The nodes of the Treasury curve, those of the SOFR curve or the short rates, then the bases.
        """
        short: tuple[str, ...] = ()
        if self.sofr is not None:
            short = self.sofr.factor
        elif self.short_rates is not None:
            short = self.short_rates.rule.factor
        return TREASURY_FACTORS + short + tuple(f"basis:{root}" for root in self.basis)

    @cached_property
    def node_zero_rate(self) -> Float:
        """Zero rates at the nodes of the short rates, by the curve with smooth forwards, [T x N].

        Raises
        ------
        ValueError
            There are no short rates, or the par yields of a day give no such curve.
        """
        if self.short_rates is None:
            raise ValueError("the history has no short rates")
        rule = self.short_rates.rule
        return read_only(
            node_zero_rates(
                rule.forwards,
                self.date,
                self.par_yield[:, rule.node],
                self.zero_rate[:, 0],
                self.zero_rate[:, rule.node],
            )
        )

    def zero_rate_change(self, horizon: int) -> Float:
        """Return all `horizon`-row changes of the zero rates, [T - horizon x 11]."""
        return np.asarray(self.zero_rate[horizon:] - self.zero_rate[:-horizon])

    def factor_change(self, horizon: int) -> tuple[Float, Mask]:
        """Return all `horizon`-row changes of the factors.

        Parameters
        ----------
        horizon : int
            Rows between the two ends of a change.

        Returns
        -------
        change : ndarray of float64, [T - horizon x K]
            Zero rates in decimals, bases in price points.
        known : ndarray of bool, [T - horizon x K]
            Where a factor's own history gives the change. Elsewhere a basis has zero, and SOFR and
            the funds rate have their proxy.
        """
        zero_rate = self.zero_rate_change(horizon)
        moves = [(zero_rate, np.ones(zero_rate.shape, bool))]
        if self.sofr is not None:
            proxy = zero_rate[:, self.sofr.node]
            if self.short_rates is not None:
                change, _ = self.short_rates.change(self.node_zero_rate, horizon)
                proxy = self.short_rates.rule.zero_rates(change, NODES[list(self.sofr.node)])
            change, own = self.sofr.change(self.date, horizon, proxy)
            moves.append((change, np.repeat(own[:, None], change.shape[1], axis=1)))
        elif self.short_rates is not None:
            change, own = self.short_rates.change(self.node_zero_rate, horizon)
            known = np.ones(change.shape, bool)
            known[:, 0] = own
            moves.append((change, known))
        moves += [basis.change(self.date, horizon) for basis in self.basis.values()]
        return (
            np.column_stack([change for change, _ in moves]),
            np.column_stack([known for _, known in moves]),
        )
