"""Both houses' P&L cubes: ours, or those the user brings."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Float, Text
from crossmargin.engine import Cube
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import roots
from crossmargin.instruments.identifiers import canonical_name
from crossmargin.instruments.short_rates import RATE_INDEX
from crossmargin.instruments.universe import FORWARD_CASH, FUTURE, Universe
from crossmargin.margin.cme.historical import cme_cubes
from crossmargin.margin.cme.span import SpanModel, span_model
from crossmargin.margin.cme.span_file import SpanFile
from crossmargin.margin.ficc.var import PROXY, ficc_cube, ficc_scenarios, proxy_covers
from crossmargin.market import Market
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import Policy, ScenarioRules
from crossmargin.policies.sections import SPAN


@dataclass(frozen=True)
class OwnCube:
    """A user's cube as read: instruments [N], P&L [N x S], names of the scenarios [S]."""

    name: str
    instrument: Sequence[str]
    pnl: Float
    scenario: Sequence[str]


@dataclass(frozen=True)
class HouseCubes:
    """The P&L both models measure, in the universe's order.

    Attributes
    ----------
    ficc : Cube
        USD per lot or contract.
    cme : Cube or None
        Likewise; None where the policy's model is `span`.
    stressed : Cube or None
        CME's stress scenarios; None if a user's cube has none: V_C is then HVaR alone.
    unpriced_ficc, unpriced_cme : ndarray of str, [I]
        Why an instrument is not covered, an exception's code; empty where it is.
    without_basis : dict of str to int
        Of each Treasury root in our FICC cube, the scenarios in which no basis moves.
    without_sofr : int or None
        The scenarios of our FICC cube in which SOFR moves with the Treasury curve; None if it
        always does, for lack of a history, or the cube is the user's.
    span : SpanModel, optional
        Deltas and parameters, in place of P&L, where the policy's model is `span`.
    """

    ficc: Cube
    cme: Cube | None
    stressed: Cube | None
    unpriced_ficc: Text
    unpriced_cme: Text
    without_basis: dict[str, int]
    without_sofr: int | None = None
    span: SpanModel | None = None

    @property
    def roots_without_basis(self) -> tuple[str, ...]:
        """Roots whose basis is missing in most of FICC's scenarios: their savings are bounds."""
        most = self.ficc.scenarios / 2
        return tuple(root for root, count in self.without_basis.items() if count > most)

    @property
    def roots_without_spread(self) -> tuple[str, ...]:
        """Short-rate roots, if they move with the Treasury curve in most of FICC's scenarios."""
        if self.without_sofr is not None and self.without_sofr <= self.ficc.scenarios / 2:
            return ()
        return tuple(RATE_INDEX)


def house_cubes(
    universe: Universe,
    market: Market,
    policy: Policy,
    *,
    own_ficc: OwnCube | None = None,
    own_cme: OwnCube | None = None,
    span_file: SpanFile | None = None,
    store: ScenarioStore | None = None,
    threads: int | None = None,
    backend: str = "auto",
) -> HouseCubes:
    """Return the cubes of both models.

    Parameters
    ----------
    universe : Universe
        The instruments.
    market : Market
        The history of our scenarios.
    policy : Policy
        Parameters of the models and the stress windows.
    own_ficc, own_cme : OwnCube, optional
        Take the place of ours.
    span_file : SpanFile, optional
        Takes the place of the span model's parameters that it holds.
    store : ScenarioStore, optional
        Keeps the scenarios for the next call.
    threads, backend
        As in `engine.revalue`.

    Returns
    -------
    HouseCubes

    Raises
    ------
    HistoryShortError
        The market's history is too short for our cubes, or for what the span model calibrates.
    CorrelationError
        The policy scales correlations and the history's cannot be replaced.
    InputError
        A user's cube names an instrument twice, or an input is for another model.
    """
    store = store or ScenarioStore()
    if span_file is not None and policy.cme.model != SPAN:
        raise InputError(f"span file: the policy's cme.model is {policy.cme.model}, not {SPAN}")
    if own_ficc is None:
        ficc = ficc_cube(
            universe,
            market,
            policy.ficc,
            policy.scenarios,
            store=store,
            threads=threads,
            backend=backend,
        )
        unpriced_ficc = universe.unpriced
        if policy.ficc.pnl == PROXY:
            covered = proxy_covers(universe) | ~universe.priced
            unpriced_ficc = np.where(covered, unpriced_ficc, "NO_MODEL").astype(object)
        chosen = ficc_scenarios(market, policy.ficc, policy.scenarios, store)
        # Under the proxy no basis moves.
        known = {} if policy.ficc.pnl == PROXY else chosen.no_basis
        without_basis = {root: known.get(root, ficc.scenarios) for root in roots("treasury")}
        without_sofr = None if market.history.sofr is None else chosen.no_sofr
    else:
        ficc, unpriced_ficc = _align(own_ficc, universe, market.as_of)
        without_basis, without_sofr = {}, None
    cme: Cube | None
    stressed: Cube | None
    span = None
    # Cash without a future to stand for it lacks CME's side alone.
    without = np.where(universe.unpriced != "", universe.unpriced, "NO_BASKET")
    if policy.span is not None and policy.cme.model == SPAN:
        if own_cme is not None:
            raise InputError(f"{own_cme.name}: the policy's cme.model, {SPAN}, takes no cube")
        cme = stressed = None
        span = span_model(
            universe,
            market,
            policy.cme,
            policy.span,
            span_file,
            store=store,
            threads=threads,
            backend=backend,
        )
        # A future needs a scan range and no basket.
        without = np.where(universe.kind == FUTURE, "NO_SCAN_RANGE", without)
        unpriced_cme = np.where(span.priced, "", without).astype(object)
    elif own_cme is None:
        cme, stressed, priced = cme_cubes(
            universe,
            market,
            policy.cme,
            policy.scenarios,
            policy.cme_correlation,
            store=store,
            threads=threads,
            backend=backend,
        )
        unpriced_cme = np.where(priced, "", without).astype(object)
    else:
        cme, unpriced_cme = _align(own_cme, universe, market.as_of)
        forward_cash = universe.kind == FORWARD_CASH
        # A forward cash leg does not enter V_C, whether the cube has it or not.
        cme = Cube(np.where(forward_cash[:, None], 0.0, cme.pnl), scenario=own_cme.scenario)
        unpriced_cme[forward_cash] = ""
        stressed = _stressed(cme, own_cme.scenario, policy.scenarios)
    return HouseCubes(
        ficc, cme, stressed, unpriced_ficc, unpriced_cme, without_basis, without_sofr, span
    )


def _align(own: OwnCube, universe: Universe, as_of: np.datetime64) -> tuple[Cube, Text]:
    """Return a user's cube in the universe's order, and which instruments it lacks."""
    row: dict[str, int] = {}
    for number, text in enumerate(own.instrument):
        symbol = _symbol(text, as_of)
        if symbol in row:
            first = own.instrument[row[symbol]]
            raise InputError(f"{own.name}: {first} and {text} are one instrument; keep one")
        row[symbol] = number
    at = np.array([row.get(text, -1) for text in universe.name.tolist()], dtype=np.int64)
    covered = at >= 0
    pnl = np.where(covered[:, None], own.pnl[at], 0.0)
    return Cube(pnl, scenario=own.scenario), np.where(covered, "", "NOT_IN_CUBE").astype(object)


def _symbol(text: str, as_of: np.datetime64) -> str:
    """Return the name of an instrument however it is written; what is wrong stays as it is."""
    try:
        return canonical_name(text, as_of)
    except ValueError:
        return text


def _stressed(cube: Cube, scenario: Sequence[str], rules: ScenarioRules) -> Cube | None:
    """Return the scenarios whose names are dates (YYYY-MM-DD) in a stress window."""
    inside = [
        number
        for number, name in enumerate(scenario)
        if (day := _date(name)) is not None
        and any(window.first <= day <= window.last for window in rules.stress)
    ]
    if not inside:
        return None
    return Cube(cube.pnl[:, inside], scenario=[scenario[number] for number in inside])


def _date(name: str) -> np.datetime64 | None:
    try:
        day = datetime.date.fromisoformat(name)
    except ValueError:
        return None
    return np.datetime64(day, "D") if day.isoformat() == name else None
