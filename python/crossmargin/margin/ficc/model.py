"""FICC's model, prepared once for a market to margin any number of books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from crossmargin.arrays import Float, Text
from crossmargin.book.schemas import SPREADS
from crossmargin.conventions import FICC, UNIONS
from crossmargin.engine import Book, Cube, Execution
from crossmargin.engine.whatif import BucketSums
from crossmargin.instruments.contracts import Contract, roots
from crossmargin.instruments.short_rates import RATE_INDEX
from crossmargin.instruments.universe import TREASURY, Universe
from crossmargin.margin.ficc._scalar import v_ficc, v_ficc_haircut
from crossmargin.margin.ficc.haircuts import (
    Haircuts,
    SingleHaircut,
    haircut_amount,
    haircut_method,
    without,
)
from crossmargin.margin.ficc.parts import ficc_parts
from crossmargin.margin.ficc.var import (
    PROXY,
    ficc_cube,
    ficc_margin,
    ficc_measures,
    ficc_scenarios,
    floor_buckets,
    floor_rates,
    proxy_covers,
)
from crossmargin.margin.model import Incremental, ModelInputs
from crossmargin.margin.observed import Outright
from crossmargin.margin.parts import Part
from crossmargin.margin.portfolios import CcpMargin
from crossmargin.market.market import Note
from crossmargin.market.scenarios import StressWindow
from crossmargin.market.short_rates import FUNDS
from crossmargin.policies import Ficc, HaircutRules


@dataclass(frozen=True)
class FiccVar:
    """VaR of three-day moves, a floor on net market value, and the minimum margin amount.

    Attributes
    ----------
    rules : Ficc
    haircuts : HaircutRules, optional
        Short securities, and those the model does not cover, take the haircut method.
    """

    rules: Ficc
    haircuts: HaircutRules | None = None
    name: ClassVar[str] = "ficc_var"

    def contracts(self, as_of: np.datetime64) -> Sequence[Contract]:
        """Return no contracts: futures enter by their own P&L."""
        return ()

    def at_horizon(self, horizon: int) -> FiccVar:
        """Return the model with moves of another length."""
        return replace(self, rules=replace(self.rules, horizon=horizon))

    def prepare(self, inputs: ModelInputs, execution: Execution) -> PreparedFicc:
        """Return the model for a market; see `MarginModel.prepare`."""
        universe, market, rules = inputs.universe, inputs.market, self.rules
        floor_rate = floor_rates(market, rules)
        no_basis: dict[str, int] = {}
        no_spread: dict[str, int] = {}
        assumed_basis: tuple[str, ...] = ()
        no_sofr: int | None = None
        no_funds: int | None = None
        if inputs.cube is not None:
            cube, unpriced = inputs.cube.of(universe, market.as_of)
        else:
            cube = ficc_cube(
                universe, market, rules, inputs.scenarios, store=inputs.store, execution=execution
            )
            unpriced = universe.unpriced
            chosen = ficc_scenarios(market, rules, inputs.scenarios, inputs.store)
            known, no_spread = chosen.no_basis, chosen.no_spread
            assumed_basis = tuple(
                name.removeprefix("basis:") for name in market.history.assumed_basis
            )
            if rules.pnl == PROXY:
                covered = proxy_covers(universe) | ~universe.priced
                unpriced = np.where(covered, unpriced, "NO_MODEL").astype(object)
                known, no_spread, assumed_basis = {}, {}, ()  # Under the proxy none moves.
            no_basis = {root: known.get(root, cube.scenarios) for root in roots("treasury")}
            no_sofr = None if market.history.sofr is None else chosen.no_sofr
            no_funds = chosen.no_funds if FUNDS in chosen.factor else None
        haircuts = None
        if self.haircuts is not None:
            haircuts = haircut_method(
                universe,
                inputs.held,
                unpriced,
                market,
                self.haircuts,
                rules,
                inputs.scenarios,
                # The user's own P&L replaces the haircuts of short securities.
                short=inputs.cube is None,
                store=inputs.store,
            )
            cube = without(cube, haircuts.covered)
            unpriced = np.where(haircuts.no_price, "NO_PRICE", unpriced)
            unpriced = np.where(haircuts.covered, "", unpriced)
        # A user's cube may have P&L for a security that neither a curve nor a price gives a value.
        # V has a floor on market value, so such a security is not covered.
        bare = (universe.kind == TREASURY) & (universe.market_value == 0.0) & (unpriced == "")
        return PreparedFicc(
            rules=rules,
            universe=universe,
            cube=cube,
            floor_rate=floor_rate,
            haircuts=haircuts,
            unpriced=np.where(bare, "NO_PRICE", unpriced).astype(object),
            no_basis=no_basis,
            assumed_basis=assumed_basis,
            no_spread=no_spread,
            no_sofr=no_sofr,
            no_funds=no_funds,
            own_cube=inputs.cube is not None,
            stress=inputs.scenarios.stress,
        )


@dataclass(frozen=True)
class PreparedFicc:
    """The model prepared for a market: its P&L, floor rates and haircuts.

    Attributes
    ----------
    rules : Ficc
    universe : Universe
        [I].
    cube : Cube, [I x S]
        USD per lot or contract.
    floor_rate : ndarray of float64, [B]
        From `floor_rates`.
    haircuts : Haircuts, optional
    unpriced : ndarray of str, [I]
        See `PreparedModel`.
    no_basis : dict of str to int
        Number of scenarios in which no basis moves, by Treasury root; empty for a user's cube.
    assumed_basis : tuple of str
        Treasury roots whose basis is drawn, because none is observed.
    no_spread : dict of str to int
        Number of scenarios in which the spread of a group with an observed history does not move.
    no_sofr : int, optional
        Number of scenarios in which SOFR moves with the Treasury curve. None if there is no SOFR
        history, so that it always does, or if the cube is the user's.
    no_funds : int, optional
        Number of scenarios in which the funds rate moves by its proxy. None if it is no factor, or
        if the cube is the user's.
    own_cube : bool
        Whether the P&L is the user's.
    stress : tuple of StressWindow
        The periods of stress.
    """

    rules: Ficc
    universe: Universe
    cube: Cube
    floor_rate: Float
    haircuts: Haircuts | None
    unpriced: Text
    no_basis: dict[str, int]
    assumed_basis: tuple[str, ...]
    no_spread: dict[str, int]
    no_sofr: int | None
    no_funds: int | None
    own_cube: bool
    stress: tuple[StressWindow, ...]
    outrights: ClassVar[tuple[Outright, ...]] = ()

    @property
    def without_basis(self) -> tuple[str, ...]:
        """Roots without a basis in most scenarios."""
        most = self.cube.scenarios / 2
        return tuple(root for root, count in self.no_basis.items() if count > most)

    @property
    def without_spread(self) -> tuple[str, ...]:
        """Short-rate roots, if they move with the Treasury curve in most scenarios."""
        if self.no_sofr is not None and self.no_sofr <= self.cube.scenarios / 2:
            return ()
        return tuple(RATE_INDEX)

    @property
    def incremental(self) -> Incremental | None:
        """How to add to the tails and the floor's sums, and to the haircuts."""
        sums = BucketSums(
            self.universe.market_value,
            floor_buckets(self.universe, self.rules).astype(np.int32),
            self.floor_rate,
            UNIONS[FICC],
        )
        measures = tuple(ficc_measures(self.cube, self.rules))
        if self.haircuts is None:
            return Incremental(measures, sums, v_ficc, ((1.0, 0.0), (0.0, 1.0)))
        single = SingleHaircut(self.universe, self.haircuts)
        return Incremental(measures, sums, v_ficc_haircut, (), single)

    def margin(self, book: Book, execution: Execution) -> CcpMargin:
        """Return V_F of every portfolio; see `ficc_margin`."""
        haircut = None
        if self.haircuts is not None:
            haircut = haircut_amount(book, self.universe, self.haircuts)
        return ficc_margin(
            book,
            self.cube,
            self.universe,
            self.unpriced == "",
            self.floor_rate,
            self.rules,
            haircut=haircut,
            execution=execution,
        )

    def parts(self, book: Book, execution: Execution) -> Sequence[Part]:
        """Return VaR, the minimum margin amount, the floor and haircuts; see `ficc_parts`."""
        horizon = None if self.own_cube else self.rules.horizon
        return ficc_parts(
            book,
            self.margin(book, execution),
            ficc_measures(self.cube, self.rules),
            self.universe,
            floor_buckets(self.universe, self.rules),
            self.floor_rate,
            self.haircuts,
            horizon=horizon,
            stress=self.stress,
        )

    def scenario_pnl(self) -> Mapping[str, Cube]:
        """Return the model's only cube."""
        return {"pnl": self.cube}

    def notes(self) -> Sequence[Note]:
        """Return notes on the margin proxy, an assumed basis, and histories with few spreads."""
        if self.own_cube:
            return ()
        if self.rules.pnl != PROXY:
            return (*self._assumed(), *self._sparse())
        message = (
            f"V_F comes from the margin proxy, over {self.cube.scenarios} scenarios: returns of "
            "benchmarks by maturity bucket, not the P&L of each instrument"
        )
        return (Note("MARGIN_PROXY", "par_yields", message),)

    def describe(self) -> dict[str, Any]:
        """Return in how many scenarios factors do not move by their own history."""
        found: dict[str, Any] = {
            "scenarios_without_basis": self.no_basis,
            "scenarios_without_sofr": self.no_sofr,
            "scenarios_without_funds": self.no_funds,
        }
        if self.assumed_basis:
            found["assumed_basis"] = list(self.assumed_basis)
        if self.no_spread:
            found["scenarios_without_spread"] = self.no_spread
        return found

    def _assumed(self) -> Sequence[Note]:
        """Return a note that names the roots whose basis is assumed, of those in the book."""
        held = [root for root in self.assumed_basis if root in self.universe.root]
        if not held:
            return ()
        message = f"basis assumed, not observed: {', '.join(held)} (give --basis or --settlements)"
        return (Note("BASIS_ASSUMED", "basis", message),)

    def _sparse(self) -> Sequence[Note]:
        """Return a note that names the groups whose observed spread seldom moves."""
        most = self.cube.scenarios / 2
        told = [f"{group} ({count:,})" for group, count in self.no_spread.items() if count > most]
        if not told:
            return ()
        message = (
            f"of {self.cube.scenarios:,} scenarios most have no change of the spread of "
            f"{', '.join(told)}, which does not move there: hedges may look better than they "
            "are; give a longer history, or none of the group, and its spread is drawn"
        )
        return (Note("SPREADS_FEW", SPREADS.name, message),)
