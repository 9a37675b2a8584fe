"""CME's models, prepared once for a market to margin any number of books."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any, ClassVar

import numpy as np

from crossmargin.arrays import Mask, Text
from crossmargin.conventions import HVAR, SVAR
from crossmargin.engine import Book, Cube, Execution, Measure
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import Contract, roots
from crossmargin.instruments.universe import FORWARD_CASH, FUTURE, TREASURY, Universe
from crossmargin.margin.cme._scalar import larger, v_cme, v_cme_stressed
from crossmargin.margin.cme.equivalents import (
    Equivalents,
    equivalent_contracts,
    equivalents,
    front_contract,
)
from crossmargin.margin.cme.historical import (
    Stressed,
    by_period,
    cme_cubes,
    cme_margin,
    cme_vars,
    scaled_cube,
)
from crossmargin.margin.cme.span import SpanModel, scaled_ranges, span_margin, span_model
from crossmargin.margin.cme.span_parts import span_parts
from crossmargin.margin.cme.span_ranges import NO_TIERS, tier_contracts
from crossmargin.margin.cme.span_single import SingleSpan
from crossmargin.margin.model import Incremental, ModelInputs, PreparedModel
from crossmargin.margin.observed import Outright, described, factors, notes_on
from crossmargin.margin.outright import compare
from crossmargin.margin.parts import Part
from crossmargin.margin.portfolios import CcpMargin, Portfolios
from crossmargin.market.market import Note
from crossmargin.market.scenarios import StressWindow
from crossmargin.policies import Cme, CmeCorrelation, CmeEquivalents, CmeFloor, Span, SpanTiers
from crossmargin.policies.sections import SPAN
from crossmargin.policies.sections.cme import SHOW

OWN_PNL = "the P&L given for CME stands as it is: the policy's scaling does not apply to it"
ONE_RANGE = (
    "a scan range is that of all contracts of a root or tier: only a margin of the root scales it"
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
    floor : CmeFloor, optional
        How far volatility is raised in calm markets.
    use : str
        What observed margins are used for; see `ObservedMarginRules`.
    equivalents : CmeEquivalents, optional
        Which contracts may stand for cash.
    """

    rules: Cme
    correlation: CmeCorrelation | None = None
    floor: CmeFloor | None = None
    use: str = SHOW
    equivalents: CmeEquivalents | None = None
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
        self._check_span_file(inputs)
        stressed: Stressed | None
        equivalent = None
        if inputs.cube is None:
            equivalent = _equivalents(inputs, self.rules, self.equivalents)
            historical, stressed, priced = cme_cubes(
                universe,
                market,
                self.rules,
                inputs.scenarios,
                self.correlation,
                self.floor,
                equivalent=equivalent,
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
            names = inputs.cube.scenario
            dates = np.array([_date(name) for name in names], dtype="datetime64[D]")
            stressed = by_period(universe, inputs.scenarios, historical.pnl, dates, names)
        unpriced[_not_margined(inputs)] = ""
        horizon = self.rules.horizon if inputs.cube is None else None
        prepared = PreparedHvar(
            self.rules, historical, stressed, unpriced, horizon, inputs.scenarios.stress, equivalent
        )
        own = [] if inputs.cube is None else [one.instrument for one in inputs.observed]
        outrights = _outrights(prepared, inputs, self.use, dict.fromkeys(own, OWN_PNL), execution)
        factor = factors(outrights, universe)
        if equivalent is not None and (factor != 1.0).any():
            scaled = partial(scaled_cube, factor=factor, universe=universe, equivalent=equivalent)
            historical = scaled(historical)
            if stressed is not None:
                stressed = replace(stressed, cube=scaled(stressed.cube))
        return replace(prepared, historical=historical, stressed=stressed, outrights=outrights)

    def _check_span_file(self, inputs: ModelInputs) -> None:
        """Raise InputError for a SPAN file that the model has no use for."""
        file, table = inputs.span_file, self.equivalents
        if file is None:
            return
        if table is None or not table.from_span_file:
            raise InputError(
                f"span file: the policy's cme.model is {self.name}, not {SPAN}, and it takes no "
                "securities from the file (equivalents.from_span_file)"
            )
        if inputs.cube is not None:
            raise InputError(f"span file: it is of no use beside {inputs.cube.name}; leave one out")
        file.check_age(inputs.market.as_of)
        if not file.securities:
            raise InputError("span file: it names no debt securities; leave it out")


@dataclass(frozen=True)
class PreparedHvar:
    """The model prepared for a market: its P&L.

    Attributes
    ----------
    rules : Cme
    historical : Cube, [I x S]
        USD per lot or contract.
    stressed : Stressed, optional
        None where a user's cube has no stress scenario: V is then HVaR alone.
    unpriced : ndarray of str, [I]
        See `PreparedModel`.
    horizon : int, optional
        Length of the moves, business days; None if the P&L is the user's.
    stress : tuple of StressWindow
        The periods of stress.
    equivalents : Equivalents, optional
        What stands for each Treasury; None if the P&L is the user's.
    outrights : tuple of Outright
        By whose factors the P&L is scaled.
    """

    rules: Cme
    historical: Cube
    stressed: Stressed | None
    unpriced: Text
    horizon: int | None
    stress: tuple[StressWindow, ...]
    equivalents: Equivalents | None = None
    outrights: tuple[Outright, ...] = ()
    without_basis: ClassVar[tuple[str, ...]] = ()
    without_spread: ClassVar[tuple[str, ...]] = ()

    @property
    def incremental(self) -> Incremental:
        """How to add to both tails."""
        level, weight = self.rules.level, self.rules.historical_weight
        historical = Measure(self.historical, level)
        if self.stressed is None:
            return Incremental((historical,), None, v_cme, ((1.0,),))
        periods = self.stressed.measures(level)
        # One mixture for each period: the largest SVaR gives the largest V.
        shares = np.eye(len(periods)) * (1.0 - weight)
        mixtures = tuple((weight, *share) for share in shares.tolist())
        return Incremental((historical, *periods), None, partial(_v_stressed, weight), mixtures)

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
        margin = self.margin(book, execution)
        positive = np.where(margin.v > 0.0, 1.0, 0.0)
        historical, *periods = self.incremental.measures
        share = 1.0 if self.stressed is None else self.rules.historical_weight
        parts = [Part(HVAR, share * positive, historical, self.horizon, self.stress)]
        if self.stressed is not None:
            # The first, where two are equal.
            decides = np.argmax(cme_vars(book, periods, execution), axis=2)
            for number, (measure, windows) in enumerate(
                zip(periods, self.stressed.windows, strict=True)
            ):
                weight = np.where(decides == number, (1.0 - share) * positive, 0.0)
                parts.append(Part(SVAR, weight, measure, self.horizon, windows))
        return parts

    def scenario_pnl(self) -> Mapping[str, Cube]:
        """Return the cubes of HVaR and, if there is one, SVaR."""
        stressed = {} if self.stressed is None else {"stressed": self.stressed.cube}
        return {"historical": self.historical, **stressed}

    def notes(self) -> Sequence[Note]:
        """Return notes on observed margins that are not used."""
        return notes_on(self.outrights)

    def describe(self) -> dict[str, Any]:
        """Return what stands for cash, and the outrights beside the observed margins."""
        stands = {} if self.equivalents is None else self.equivalents.describe()
        return {**stands, **described(self.outrights)}


@dataclass(frozen=True)
class CmeSpan:
    """The model by scan ranges and spreads.

    Attributes
    ----------
    rules : Cme
    span : Span
    use : str
        What observed margins are used for; see `ObservedMarginRules`.
    tiers : SpanTiers
        Roots with scan ranges by tier.
    equivalents : CmeEquivalents, optional
        Which contracts may stand for cash.
    """

    rules: Cme
    span: Span
    use: str = SHOW
    tiers: SpanTiers = NO_TIERS
    equivalents: CmeEquivalents | None = None
    name: ClassVar[str] = SPAN

    def contracts(self, as_of: np.datetime64) -> Sequence[Contract]:
        """Return the contracts that stand for cash, and those that give the scan ranges."""
        needed = [
            *equivalent_contracts(self.rules, as_of),
            *(front_contract(root, as_of) for root in roots()),
            *tier_contracts(self.tiers, as_of),
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
        equivalent = _equivalents(inputs, self.rules, self.equivalents)
        model = span_model(
            universe,
            inputs.market,
            self.rules,
            self.span,
            inputs.span_file,
            tiers=self.tiers,
            equivalent=equivalent,
            store=inputs.store,
            execution=execution,
        )
        # A future needs a scan range, but no basket.
        lacking = np.where(universe.kind == FUTURE, "NO_SCAN_RANGE", _reason_unpriced(universe))
        unpriced = np.where(model.priced, "", lacking).astype(object)
        unpriced[_not_margined(inputs)] = ""
        prepared = PreparedSpan(model, unpriced, self.rules.horizon, equivalent)
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
    equivalents : Equivalents
        What stands for each Treasury.
    outrights : tuple of Outright
        By whose factors the scan ranges are scaled.
    """

    model: SpanModel
    unpriced: Text
    horizon: int
    equivalents: Equivalents
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
        """Return the parameters, where each came from, what stands for cash, and the outrights."""
        return {
            **self.model.describe(),
            **self.equivalents.describe(),
            **described(self.outrights),
        }


def _equivalents(inputs: ModelInputs, rules: Cme, table: CmeEquivalents | None) -> Equivalents:
    """Return what stands for each Treasury."""
    return equivalents(
        inputs.universe,
        rules,
        inputs.market.as_of,
        table,
        volumes=inputs.volumes,
        file=inputs.span_file,
    )


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


def _v_stressed(weight: float, hvar: Portfolios, *svar: Portfolios) -> Portfolios:
    """Return V from HVaR and the SVaR of each period."""
    return v_cme_stressed(weight, hvar, reduce(larger, svar))


def _reason_unpriced(universe: Universe) -> Text:
    """Return why an instrument is not covered, for those that are not, [I]."""
    # If the universe prices it, only the futures that stand for it are missing.
    return np.where(universe.unpriced != "", universe.unpriced, "NO_BASKET").astype(object)


def _not_margined(inputs: ModelInputs) -> Mask:
    """Return the securities that never reach the model, as they may not be cross-margined, [I]."""
    return np.asarray((inputs.universe.kind == TREASURY) & ~inputs.eligible)


def _date(name: str) -> np.datetime64 | None:
    try:
        day = datetime.date.fromisoformat(name)
    except ValueError:
        return None
    return np.datetime64(day, "D") if day.isoformat() == name else None
