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
from crossmargin.market.specific import Process, SpecificRisk, SpreadHistory


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
    spreads : SpreadHistory, optional
        Observed yield spreads; used where `specific` has groups of securities.
    specific : SpecificRisk, optional
        Further factors, by the policy: spreads of securities, and bases that are not observed.
    sofr : Sofr, optional
        History of the SOFR curve; without it short-rate futures move with the short rates or, if
        there are none, with the Treasury curve.
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
    spreads: SpreadHistory | None = None
    specific: SpecificRisk | None = None
    skipped_rows: int = 0

    @property
    def factor(self) -> tuple[str, ...]:
        """Names of the factors, [K]: the nodes of the curves, then spreads, then bases."""
        bases = tuple(f"basis:{root}" for root in self.basis)
        return self.curve_factor + self.spread_factor + bases + self.assumed_basis

    @property
    def curve_factor(self) -> tuple[str, ...]:
        """Names of the factors of the curves: Treasury, then SOFR or the short rates."""
        if self.sofr is not None:
            return TREASURY_FACTORS + self.sofr.factor
        if self.short_rates is not None:
            return TREASURY_FACTORS + self.short_rates.rule.factor
        return TREASURY_FACTORS

    @property
    def curve_factors(self) -> int:
        """The number of the curves' factors."""
        return len(self.curve_factor)

    @property
    def spread_factor(self) -> tuple[str, ...]:
        """Names of the spread factors, by group."""
        groups = None if self.specific is None else self.specific.spreads
        return () if groups is None else groups.process.factor

    @property
    def observed_spread(self) -> tuple[str, ...]:
        """Names of those spread factors that have an observed history."""
        given = set() if self.spreads is None else {f"spread:{g}" for g in self.spreads.group}
        return tuple(name for name in self.spread_factor if name in given)

    @property
    def assumed_basis(self) -> tuple[str, ...]:
        """Names of the bases that a process gives: those of roots without an observed basis."""
        process = None if self.specific is None else self.specific.basis
        observed = {f"basis:{root}" for root in self.basis}
        return () if process is None else tuple(n for n in process.factor if n not in observed)

    @property
    def drawn(self) -> Mask:
        """Which factors a process gives, [K]."""
        drawn = {*self.spread_factor, *self.assumed_basis} - set(self.observed_spread)
        return np.array([name in drawn for name in self.factor])

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
        return read_only(self._node_zero_rates(0))

    def continue_from(self, earlier: History) -> None:
        """Take from another history what is computed row by row, for the rows both begin with.

        Parameters
        ----------
        earlier : History
            Of another day; what it has computed is used where it is of the same rule.
        """
        known: Float | None = vars(earlier).get("node_zero_rate")
        one, other = self.short_rates, earlier.short_rates
        if known is None or one is None or other is None or one.rule != other.rule:
            return
        size = min(self.date.size, earlier.date.size)
        columns = ("date", "par_yield", "zero_rate")
        if all(
            np.array_equal(getattr(self, name)[:size], getattr(earlier, name)[:size])
            for name in columns
        ):
            rates = np.concatenate([known[:size], self._node_zero_rates(size)])
            vars(self)["node_zero_rate"] = read_only(rates)

    def _node_zero_rates(self, first: int) -> Float:
        """Return the zero rates at the nodes of the short rates from a row on."""
        assert self.short_rates is not None
        rule = self.short_rates.rule
        if first == self.date.size:
            return np.empty((0, len(rule.nodes)))
        return node_zero_rates(
            rule.forwards,
            self.date[first:],
            self.par_yield[first:, rule.node],
            self.zero_rate[first:, 0],
            self.zero_rate[first:, rule.node],
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
            Zero rates and spreads in decimals, bases in price points.
        known : ndarray of bool, [T - horizon x K]
            Where a factor's own history or process gives the change. Elsewhere a basis and a spread
            have zero, and SOFR and the funds rate have their proxy.
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
        moves += self._spread_changes(horizon)
        moves += [basis.change(self.date, horizon) for basis in self.basis.values()]
        moves += self._assumed_basis_changes(horizon)
        return (
            np.column_stack([change for change, _ in moves]),
            np.column_stack([known for _, known in moves]),
        )

    def _spread_changes(self, horizon: int) -> list[tuple[Float, Mask]]:
        """Return the change of each spread factor, and where it is known."""
        if self.specific is None or self.specific.spreads is None:
            return []
        moves = self._process_changes(self.specific.spreads.process, self.spread_factor, horizon)
        for k, name in enumerate(self.spread_factor):
            if self.spreads is not None and name in self.observed_spread:
                group = name.removeprefix("spread:")
                moves[k] = self.spreads.change(group, self.date, horizon)
        return moves

    def _assumed_basis_changes(self, horizon: int) -> list[tuple[Float, Mask]]:
        """Return the change of each basis that is not observed, which is always known."""
        if self.specific is None or self.specific.basis is None:
            return []
        return self._process_changes(self.specific.basis, self.assumed_basis, horizon)

    def _process_changes(
        self, process: Process, factor: tuple[str, ...], horizon: int
    ) -> list[tuple[Float, Mask]]:
        """Return the changes of some factors of a process."""
        change = process.change(self.date, horizon)
        known = np.ones(change.shape[0], dtype=bool)
        return [(change[:, process.factor.index(name)], known) for name in factor]
