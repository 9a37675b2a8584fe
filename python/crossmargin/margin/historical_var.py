"""A plain historical VaR, for a clearing house that a policy adds to FICC and CME.

V = max(VaR, 0): full revaluation of moves over the horizon, in the look-back and in the periods of
stress (methodology, sections 3 and 5). All positions of an account there are one margin portfolio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from crossmargin.arrays import Text
from crossmargin.conventions import VAR
from crossmargin.engine import Book, Cube, Execution, Measure, revalue, segment_tails
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.short_rates import RATE_INDEX
from crossmargin.margin.model import Incremental, ModelInputs
from crossmargin.margin.observed import Outright
from crossmargin.margin.parts import Part
from crossmargin.margin.portfolios import WHOLE, CcpMargin, row_of
from crossmargin.market.market import Note
from crossmargin.market.scenarios import Scenarios
from crossmargin.policies import ScenarioRules
from crossmargin.policies.sections.common import HIGHEST_LEVEL


@dataclass(frozen=True)
class HistoricalVarRules:
    """Parameters of the model, from the clearing house's table in the policy.

    Attributes
    ----------
    level : float
        Confidence of the VaR.
    horizon : int
        Length of a move, business days.
    look_back, minimum_rows, stress_windows
        As in the policy's `scenarios`.
    """

    level: float
    horizon: int
    look_back: int
    minimum_rows: int
    stress_windows: tuple[tuple[str, str], ...]

    @property
    def scenarios(self) -> ScenarioRules:
        """Which days of the history are scenarios."""
        return ScenarioRules(self.look_back, self.minimum_rows, self.stress_windows)

    def rules(self) -> dict[str, bool]:
        """Return what must hold for the values, and whether it does."""
        return {
            f"level must lie above 0 and be at most {HIGHEST_LEVEL}": (
                0.0 < self.level <= HIGHEST_LEVEL
            ),
            "horizon must be 1 to 20": 1 <= self.horizon <= 20,
            **self.scenarios.rules(),
        }


@dataclass(frozen=True)
class HistoricalVar:
    """The model of one clearing house."""

    ccp: str
    rules: HistoricalVarRules
    name: ClassVar[str] = "historical_var"
    parameters: ClassVar[type] = HistoricalVarRules

    def contracts(self, as_of: np.datetime64) -> Sequence[Contract]:
        """Return no contracts: each position enters by its own P&L."""
        return ()

    def at_horizon(self, horizon: int) -> HistoricalVar:
        """Return the model with moves of another length."""
        return replace(self, rules=replace(self.rules, horizon=horizon))

    def prepare(self, inputs: ModelInputs, execution: Execution) -> PreparedHistoricalVar:
        """Return the model for a market; see `MarginModel.prepare`."""
        universe, market, rules = inputs.universe, inputs.market, self.rules
        without_spread: tuple[str, ...] = ()
        if inputs.cube is not None:
            cube, unpriced = inputs.cube.of(universe, market.as_of)
        else:
            chosen, cube = revalued(inputs, rules.scenarios, rules.horizon, execution)
            unpriced = universe.unpriced
            if market.history.sofr is None or chosen.no_sofr > cube.scenarios / 2:
                without_spread = tuple(RATE_INDEX)
        horizon = rules.horizon if inputs.cube is None else None
        return PreparedHistoricalVar(self.ccp, rules, cube, unpriced, without_spread, horizon)


def revalued(
    inputs: ModelInputs, rules: ScenarioRules, horizon: int, execution: Execution
) -> tuple[Scenarios, Cube]:
    """Return the scenarios of a look-back and its periods of stress, and the P&L in them.

    Parameters
    ----------
    inputs : ModelInputs
    rules : ScenarioRules
    horizon : int
        Length of a move, business days.
    execution : Execution

    Returns
    -------
    chosen : Scenarios
    cube : Cube, [I x S]
        By full revaluation, USD per lot or contract.
    """
    chosen = inputs.store.of(
        inputs.market.history,
        horizon=horizon,
        look_back=rules.look_back,
        minimum=rules.minimum_rows,
        stress=rules.stress,
    )
    pnl = revalue(inputs.universe.terms, chosen.shock, **execution.kernels)
    return chosen, Cube(pnl, scenario=chosen.date.astype(str).tolist())


@dataclass(frozen=True)
class PreparedHistoricalVar:
    """The model prepared for a market: its P&L.

    Attributes
    ----------
    ccp : str
    rules : HistoricalVarRules
    cube : Cube, [I x S]
        USD per lot or contract.
    unpriced : ndarray of str, [I]
    without_spread : tuple of str
        See `PreparedModel`.
    horizon : int, optional
        Length of the moves, business days; None if the P&L is the user's.
    """

    ccp: str
    rules: HistoricalVarRules
    cube: Cube
    unpriced: Text
    without_spread: tuple[str, ...]
    horizon: int | None
    without_basis: ClassVar[tuple[str, ...]] = ()
    outrights: ClassVar[tuple[Outright, ...]] = ()
    incremental: ClassVar[Incremental | None] = None

    def margin(self, book: Book, execution: Execution) -> CcpMargin:
        """Return V of every group; each row of the book is a group."""
        tail = segment_tails(
            book,
            [Measure(self.cube, self.rules.level)],
            segments=1,
            unions=[[0]],
            es=False,
            **execution.kernels,
        )
        var = tail.var[:, :, 0]
        lacking = (self.unpriced != "")[book.column]
        unknown = np.bincount(row_of(book)[lacking], minlength=book.rows) > 0
        return CcpMargin(
            self.ccp, np.maximum(var, 0.0), unknown[:, None], {VAR: var}, portfolios=WHOLE
        )

    def parts(self, book: Book, execution: Execution) -> Sequence[Part]:
        """Return VaR, the only part."""
        weight = np.where(self.margin(book, execution).v > 0.0, 1.0, 0.0)
        measure = Measure(self.cube, self.rules.level)
        return [Part(VAR, weight, measure, self.horizon, self.rules.scenarios.stress)]

    def scenario_pnl(self) -> Mapping[str, Cube]:
        """Return the model's only cube."""
        return {"pnl": self.cube}

    def notes(self) -> Sequence[Note]:
        """Return no notes."""
        return ()

    def describe(self) -> dict[str, Any]:
        """Return no further values."""
        return {}
