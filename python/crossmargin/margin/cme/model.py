"""CME's models, prepared once for a market to margin any number of books."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from crossmargin.arrays import Mask, Text
from crossmargin.conventions import HVAR, SVAR
from crossmargin.engine import Book, Cube, Execution, Measure
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import Contract, roots
from crossmargin.instruments.universe import FORWARD_CASH, FUTURE, TREASURY, Universe
from crossmargin.margin.cme._scalar import v_cme, v_cme_stressed
from crossmargin.margin.cme.historical import (
    cme_cubes,
    cme_margin,
    equivalent_contracts,
    front_contract,
    scaled_cube,
)
from crossmargin.margin.cme.span import SpanModel, scaled_ranges, span_margin, span_model
from crossmargin.margin.cme.span_parts import span_parts
from crossmargin.margin.cme.span_single import SingleSpan
from crossmargin.margin.model import Incremental, ModelInputs, OwnCube, PreparedModel
from crossmargin.margin.observed import Outright, described, factors, notes_on
from crossmargin.margin.outright import compare
from crossmargin.margin.parts import Part
from crossmargin.margin.portfolios import CcpMargin, Portfolios
from crossmargin.market.market import Note
from crossmargin.market.scenarios import StressWindow
from crossmargin.policies import Cme, CmeCorrelation, ScenarioRules, Span
from crossmargin.policies.sections import SPAN
from crossmargin.policies.sections.cme import SHOW

OWN_PNL = "the P&L given for CME stands as it is: the policy's scaling does not apply to it"
ONE_RANGE = (
    "by scan ranges a root has one range for all its contracts: only a margin of the root scales it"
)
"""Why a model is not scaled to an observed margin."""


@dataclass(frozen=True)
class CmeHvar:
    """Historical simulation: a mix of VaR over recent and over stressed moves.

    Attributes
    ----------
    rules : Cme
    correlation : CmeCorrelation, optional
        How far the scenarios take on the correlation of recent days.
    use : str
        What observed margins are used for; see `ObservedMarginRules`.
    """

    rules: Cme
    correlation: CmeCorrelation | None = None
    use: str = SHOW
    name: ClassVar[str] = "hvar"

    def contracts(self, as_of: np.datetime64) -> Sequence[Contract]:
        """Return the contracts that stand for cash."""
        return [c for c in equivalent_contracts(self.rules, as_of) if c is not None]

    def at_horizon(self, horizon: int) -> CmeHvar:
        """Return the model with moves of another length."""
        return replace(self, rules=replace(self.rules, horizon=horizon))

    def prepare(self, inputs: ModelInputs, execution: Execution) -> PreparedHvar:
        """Return the model for a market; see `MarginModel.prepare`."""
        universe, market = inputs.universe, inputs.market
        if inputs.span_file is not None:
            raise InputError(f"span file: the policy's cme.model is {self.name}, not {SPAN}")
        stressed: Cube | None
        if inputs.cube is None:
            historical, stressed, priced = cme_cubes(
                universe,
                market,
                self.rules,
                inputs.scenarios,
                self.correlation,
                store=inputs.store,
                execution=execution,
            )
            unpriced = np.where(priced, "", _reason_unpriced(universe)).astype(object)
        else:
            historical, unpriced = inputs.cube.of(universe, market.as_of)
            cash = universe.kind == FORWARD_CASH
            # Forward cash legs do not enter V_C, even if the cube has them.
            pnl = np.where(cash[:, None], 0.0, historical.pnl)
            historical = Cube(pnl, scenario=inputs.cube.scenario)
            unpriced[cash] = ""
            stressed = _stressed(historical, inputs.cube, inputs.scenarios)
        unpriced[_not_margined(inputs)] = ""
        horizon = self.rules.horizon if inputs.cube is None else None
        prepared = PreparedHvar(
            self.rules, historical, stressed, unpriced, horizon, inputs.scenarios.stress
        )
        own = [] if inputs.cube is None else [one.instrument for one in inputs.observed]
        outrights = _outrights(prepared, inputs, self.use, dict.fromkeys(own, OWN_PNL), execution)
        factor = factors(outrights, universe)
        if (factor != 1.0).any():
            scaled = partial(
                scaled_cube, factor=factor, universe=universe, rules=self.rules, as_of=market.as_of
            )
            historical = scaled(historical)
            stressed = None if stressed is None else scaled(stressed)
        return replace(prepared, historical=historical, stressed=stressed, outrights=outrights)


@dataclass(frozen=True)
class PreparedHvar:
    """The model prepared for a market: its P&L.

    Attributes
    ----------
    rules : Cme
    historical : Cube, [I x S]
        USD per lot or contract.
    stressed : Cube, [I x S'], optional
        None where a user's cube has no stress scenario: V is then HVaR alone.
    unpriced : ndarray of str, [I]
        See `PreparedModel`.
    horizon : int, optional
        Length of the moves, business days; None if the P&L is the user's.
    stress : tuple of StressWindow
        The periods of stress.
    outrights : tuple of Outright
        By whose factors the P&L is scaled.
    """

    rules: Cme
    historical: Cube
    stressed: Cube | None
    unpriced: Text
    horizon: int | None
    stress: tuple[StressWindow, ...]
    outrights: tuple[Outright, ...] = ()
    without_basis: ClassVar[tuple[str, ...]] = ()
    without_spread: ClassVar[tuple[str, ...]] = ()

    @property
    def incremental(self) -> Incremental:
        """How to add to both tails."""
        measures = tuple(Measure(cube, self.rules.level) for cube in self.scenario_pnl().values())
        if self.stressed is None:
            return Incremental(measures, None, v_cme, ((1.0,),))
        weight = self.rules.historical_weight
        v = partial(v_cme_stressed, weight)
        return Incremental(measures, None, v, ((weight, 1.0 - weight),))

    def margin(self, book: Book, execution: Execution) -> CcpMargin:
        """Return V_C of every portfolio; see `cme_margin`."""
        return cme_margin(
            book,
            self.historical,
            self.stressed,
            self.unpriced == "",
            self.rules,
            execution=execution,
        )

    def parts(self, book: Book, execution: Execution) -> Sequence[Part]:
        """Return HVaR and SVaR with their weights."""
        positive = np.where(self.margin(book, execution).v > 0.0, 1.0, 0.0)
        share = 1.0 if self.stressed is None else self.rules.historical_weight
        return [
            Part(name, weight * positive, measure, self.horizon, self.stress)
            for name, weight, measure in zip(
                (HVAR, SVAR), (share, 1.0 - share), self.incremental.measures, strict=False
            )
        ]

    def scenario_pnl(self) -> Mapping[str, Cube]:
        """Return the cubes of HVaR and, if there is one, SVaR."""
        stressed = {} if self.stressed is None else {"stressed": self.stressed}
        return {"historical": self.historical, **stressed}

    def notes(self) -> Sequence[Note]:
        """Return notes on observed margins that are not used."""
        return notes_on(self.outrights)

    def describe(self) -> dict[str, Any]:
        """Return the outrights beside the observed margins, if any were given."""
        return described(self.outrights)


@dataclass(frozen=True)
class CmeSpan:
    """The model by scan ranges and spreads.

    Attributes
    ----------
    rules : Cme
    span : Span
    use : str
        What observed margins are used for; see `ObservedMarginRules`.
    """

    rules: Cme
    span: Span
    use: str = SHOW
    name: ClassVar[str] = SPAN

    def contracts(self, as_of: np.datetime64) -> Sequence[Contract]:
        """Return the contracts that stand for cash, and those that give the scan ranges."""
        needed = [
            *equivalent_contracts(self.rules, as_of),
            *(front_contract(root, as_of) for root in roots()),
        ]
        return [contract for contract in needed if contract is not None]

    def at_horizon(self, horizon: int) -> CmeSpan:
        """Return the model with ranges and rates calibrated to moves of another length."""
        return replace(self, rules=replace(self.rules, horizon=horizon))

    def prepare(self, inputs: ModelInputs, execution: Execution) -> PreparedSpan:
        """Return the model for a market; see `MarginModel.prepare`."""
        universe = inputs.universe
        if inputs.cube is not None:
            raise InputError(
                f"{inputs.cube.name}: the policy's cme.model, {self.name}, takes no cube"
            )
        model = span_model(
            universe,
            inputs.market,
            self.rules,
            self.span,
            inputs.span_file,
            store=inputs.store,
            execution=execution,
        )
        # A future needs a scan range, but no basket.
        lacking = np.where(universe.kind == FUTURE, "NO_SCAN_RANGE", _reason_unpriced(universe))
        unpriced = np.where(model.priced, "", lacking).astype(object)
        unpriced[_not_margined(inputs)] = ""
        prepared = PreparedSpan(model, unpriced, self.rules.horizon)
        own = [one.instrument for one in inputs.observed if one.contract is not None]
        outrights = _outrights(prepared, inputs, self.use, dict.fromkeys(own, ONE_RANGE), execution)
        return replace(prepared, model=scaled_ranges(model, outrights), outrights=outrights)


@dataclass(frozen=True)
class PreparedSpan:
    """The model prepared for a market: its deltas and parameters.

    Attributes
    ----------
    model : SpanModel
    unpriced : ndarray of str, [I]
        See `PreparedModel`.
    horizon : int
        Length of the moves that parameters are calibrated on, business days.
    outrights : tuple of Outright
        By whose factors the scan ranges are scaled.
    """

    model: SpanModel
    unpriced: Text
    horizon: int
    outrights: tuple[Outright, ...] = ()
    without_basis: ClassVar[tuple[str, ...]] = ()
    without_spread: ClassVar[tuple[str, ...]] = ()

    @property
    def incremental(self) -> Incremental | None:
        """V from the positions: the model has no tails."""
        return Incremental((), None, _itself, (), SingleSpan(self.model))

    def margin(self, book: Book, execution: Execution) -> CcpMargin:
        """Return V_C of every portfolio; see `span_margin`."""
        return span_margin(book, self.model, execution=execution)

    def parts(self, book: Book, execution: Execution) -> Sequence[Part]:
        """Return scan risk, charges and credits; see `span_parts`."""
        margin = self.margin(book, execution)
        return span_parts(book, self.model, margin, self.horizon, execution=execution)

    def scenario_pnl(self) -> Mapping[str, Cube]:
        """Return no P&L: the model measures deltas."""
        return {}

    def notes(self) -> Sequence[Note]:
        """Return notes on observed margins that are not used."""
        return notes_on(self.outrights)

    def describe(self) -> dict[str, Any]:
        """Return scan ranges and credit rates, where each came from, and the outrights."""
        return {**self.model.describe(), **described(self.outrights)}


def _outrights(
    prepared: PreparedModel,
    inputs: ModelInputs,
    use: str,
    fixed: Mapping[str, str],
    execution: Execution,
) -> tuple[Outright, ...]:
    """Return the outrights of a model that is not scaled yet, or those found before."""
    if inputs.outrights is not None:
        return inputs.outrights
    as_of = inputs.market.as_of
    return compare(prepared, inputs.observed, inputs.universe, as_of, use, fixed, execution)


def _itself(v: Portfolios) -> Portfolios:
    return v


def _reason_unpriced(universe: Universe) -> Text:
    """Return why an instrument is not covered, for those that are not, [I]."""
    # If the universe prices it, only the futures that stand for it are missing.
    return np.where(universe.unpriced != "", universe.unpriced, "NO_BASKET").astype(object)


def _not_margined(inputs: ModelInputs) -> Mask:
    """Return the securities that never reach the model, as they may not be cross-margined, [I]."""
    return np.asarray((inputs.universe.kind == TREASURY) & ~inputs.eligible)


def _stressed(cube: Cube, own: OwnCube, rules: ScenarioRules) -> Cube | None:
    """Return the scenarios whose names are dates (YYYY-MM-DD) in a stress window, if any."""
    in_stress = [
        number
        for number, name in enumerate(own.scenario)
        if (day := _date(name)) is not None
        and any(window.first <= day <= window.last for window in rules.stress)
    ]
    if not in_stress:
        return None
    return Cube(cube.pnl[:, in_stress], scenario=[own.scenario[number] for number in in_stress])


def _date(name: str) -> np.datetime64 | None:
    try:
        day = datetime.date.fromisoformat(name)
    except ValueError:
        return None
    return np.datetime64(day, "D") if day.isoformat() == name else None
