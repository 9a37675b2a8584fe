"""The CME-like model by historical simulation: V_C = x HVaR + (1 - x) SVaR.

Methodology, section 5. Cash positions enter as futures-equivalents.
"""

from __future__ import annotations

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Mask
from crossmargin.conventions import CME, SEGMENTS, UNIONS
from crossmargin.engine import Book, Cube, Execution, Measure, revalue, segment_tails
from crossmargin.engine.execution import DEFAULT_EXECUTION
from crossmargin.instruments.universe import Universe
from crossmargin.margin.cme.equivalents import Equivalents, equivalents
from crossmargin.margin.cme.rule import v_cme, v_cme_stressed
from crossmargin.margin.portfolios import CcpMargin, holds
from crossmargin.market import Market
from crossmargin.market.scenarios import (
    CorrelationScaling,
    HistoryShortError,
    ScenarioStore,
    VolatilityScaling,
)
from crossmargin.policies import Cme, CmeCorrelation, ScenarioRules


def cme_cubes(
    universe: Universe,
    market: Market,
    rules: Cme,
    scenarios: ScenarioRules,
    correlation: CmeCorrelation | None = None,
    *,
    equivalent: Equivalents | None = None,
    store: ScenarioStore | None = None,
    execution: Execution = DEFAULT_EXECUTION,
) -> tuple[Cube, Cube, Mask]:
    """Return the P&L of every instrument for HVaR and for SVaR, and which instruments it covers.

    Parameters
    ----------
    universe : Universe
        It holds the contracts of `equivalent_contracts`. Futures enter by full revaluation, with
        the cheapest to deliver chosen again in each scenario (`switching`), plus their basis.
    market : Market
        The history the scenarios come from.
    rules, scenarios : Cme, ScenarioRules
        Parameters.
    correlation : CmeCorrelation, optional
        How far HVaR's scenarios take on the correlation of recent days.
    equivalent : Equivalents, optional
        What stands for each Treasury; without it the contract of its bucket, by DV01.
    store : ScenarioStore, optional
        Keeps the scenarios for the next call.
    execution : Execution

    Returns
    -------
    historical : Cube, [I x S]
        Scaled moves; USD per lot or contract, on the grid. A forward cash leg is zero: it does
        not enter V_C.
    stressed : Cube, [I x S']
        The unscaled moves of the stress scenarios.
    priced : ndarray of bool, [I]

    Raises
    ------
    HistoryShortError
        The history holds no stress scenario, or too few rows.
    CorrelationError
        The look-back's correlation cannot be replaced.
    """
    scaling = VolatilityScaling(
        rules.volatility_decay, rules.volatility_seed_rows, rules.volatility_limit
    )
    recorrelation = None
    if correlation is not None:
        recorrelation = CorrelationScaling(correlation.decay, correlation.weight)
    scaled, plain = (
        (store or ScenarioStore()).of(
            market.history,
            horizon=rules.horizon,
            look_back=scenarios.look_back,
            minimum=scenarios.minimum_rows,
            stress=scenarios.stress,
            scaling=volatility,
            correlation=how,
        )
        for volatility, how in ((scaling, recorrelation), (None, None))
    )
    stressed = plain.stressed
    if stressed.size == 0:
        windows = ", ".join(f"{first} to {last}" for first, last in scenarios.stress_windows)
        raise HistoryShortError(
            "HISTORY_SHORT: no row of the par yields lies in a stress window of the policy "
            f"({windows or 'it has none'}); give a history that does, or set "
            "scenarios.stress_windows"
        )
    equivalent = equivalent or equivalents(universe, rules, market.as_of)
    cubes = []
    for shock, date in (
        (scaled.shock, scaled.date),
        (plain.shock[stressed], plain.date[stressed]),
    ):
        pnl = revalue(universe.terms, shock, **execution.kernels)
        cubes.append(
            Cube(_as_futures(pnl, universe, equivalent), scenario=date.astype(str).tolist())
        )
    return cubes[0], cubes[1], equivalent.priced


def _as_futures(pnl: Float, universe: Universe, equivalent: Equivalents) -> Float:
    """Return P&L with futures-equivalents for Treasuries, and zero for forward cash legs."""
    contract, ratio = equivalent.contract, equivalent.ratio
    out = np.where((universe.root != "")[:, None], pnl, 0.0)
    out[: contract.size] = exact.round_to_grid(ratio[:, None] * pnl[contract])
    return out


def scaled_cube(cube: Cube, factor: Float, universe: Universe, equivalent: Equivalents) -> Cube:
    """Return a cube of `cme_cubes` with the P&L of each contract multiplied by a factor.

    Parameters
    ----------
    cube : Cube, [I x S]
    factor : ndarray of float64, [I]
        Of futures.
    universe : Universe
    equivalent : Equivalents
        As for `cme_cubes`.

    Returns
    -------
    Cube
        On the grid. Cash enters as futures-equivalents of the contracts' new P&L.
    """
    moved = np.flatnonzero(factor != 1.0)
    pnl = cube.pnl.copy()
    pnl[moved] = exact.round_to_grid(factor[moved, None] * cube.pnl[moved])
    return Cube(_as_futures(pnl, universe, equivalent), scenario=cube.scenario)


def cme_margin(
    book: Book,
    historical: Cube,
    stressed: Cube | None,
    priced: Mask,
    rules: Cme,
    *,
    execution: Execution = DEFAULT_EXECUTION,
) -> CcpMargin:
    """Return V_C of every portfolio.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    historical, stressed : Cube
        From `cme_cubes`, or the user's; without stress scenarios V_C is HVaR alone.
    priced : ndarray of bool, [I]
        Instruments the cubes cover.
    rules : Cme
        Level and weight.
    execution : Execution

    Returns
    -------
    CcpMargin
        Components HVaR and SVaR.
    """
    cubes = [historical] if stressed is None else [historical, stressed]
    tail = segment_tails(
        book,
        [Measure(cube, rules.level) for cube in cubes],
        segments=len(SEGMENTS),
        unions=UNIONS[CME],
        **execution.kernels,
        es=False,
    )
    hvar = tail.var[:, :, 0]
    component = {"HVaR": hvar}
    if stressed is None:
        v = v_cme(hvar)
    else:
        component["SVaR"] = svar = tail.var[:, :, 1]
        v = v_cme_stressed(rules.historical_weight, hvar, svar)
    return CcpMargin(CME, v, holds(book, CME, ~priced), component)
