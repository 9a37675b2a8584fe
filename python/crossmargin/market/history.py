"""The history of the market's factors: rates and bases of past days, and how they changed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from crossmargin.arrays import Dates, Float, Mask
from crossmargin.market.basis import Basis
from crossmargin.market.curve import TREASURY_FACTORS
from crossmargin.market.frozen import Frozen
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
    skipped_rows : int
        Rows of the par yields since the first of these days that lack a node.
    """

    date: Dates
    par_yield: Float
    zero_rate: Float
    basis: dict[str, Basis] = field(default_factory=dict)
    sofr: Sofr | None = None
    skipped_rows: int = 0

    @property
    def factor(self) -> tuple[str, ...]:
        """Names of the factors, [K]: the nodes of the Treasury and SOFR curves, then the bases."""
        swaps = () if self.sofr is None else self.sofr.factor
        return TREASURY_FACTORS + swaps + tuple(f"basis:{root}" for root in self.basis)

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
            Where a factor's own history gives the change. Elsewhere a basis has zero, and SOFR the
            change of the Treasury curve.
        """
        zero_rate = self.zero_rate_change(horizon)
        moves = [(zero_rate, np.ones(zero_rate.shape, bool))]
        if self.sofr is not None:
            change, own = self.sofr.change(self.date, horizon, zero_rate)
            moves.append((change, np.repeat(own[:, None], change.shape[1], axis=1)))
        moves += [basis.change(self.date, horizon) for basis in self.basis.values()]
        return (
            np.column_stack([change for change, _ in moves]),
            np.column_stack([known for _, known in moves]),
        )
