"""The CME-like model by historical simulation: V_C = x HVaR + (1 - x) SVaR.

Methodology, section 5. Cash positions enter as futures-equivalents.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Integer, Mask
from crossmargin.conventions import CME, SEGMENTS, UNIONS
from crossmargin.engine import Book, Cube, Execution, Measure, revalue, segment_tails
from crossmargin.engine.execution import DEFAULT_EXECUTION
from crossmargin.instruments.contracts import Contract, was_listed
from crossmargin.instruments.universe import TREASURY, Universe
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


def equivalent_contracts(rules: Cme, as_of: np.datetime64) -> list[Contract | None]:
    """Return the contracts that stand for cash: of each root the first not yet deliverable.

    Parameters
    ----------
    rules : Cme
        The roots by remaining years.
    as_of : datetime64[D]
        A contract's delivery month begins after it.

    Returns
    -------
    list of Contract
        One for each bucket of `rules.equivalent_roots`; None where the root was not listed yet.
    """
    return [front_contract(root, as_of) for _, root in rules.equivalent_roots]


def front_contract(root: str, as_of: np.datetime64) -> Contract | None:
    """Return the first contract of a root whose delivery month begins after a date, if listed."""
    for ahead in range(1, 13):
        with suppress(ValueError):
            month = as_of.astype("datetime64[M]") + np.timedelta64(ahead, "M")
            contract = Contract(root, month)
            if was_listed(contract, as_of):
                return contract
    return None


def cme_cubes(
    universe: Universe,
    market: Market,
    rules: Cme,
    scenarios: ScenarioRules,
    correlation: CmeCorrelation | None = None,
    *,
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
    equivalent, priced = equivalents(universe, rules, market.as_of)
    cubes = []
    for shock, date in (
        (scaled.shock, scaled.date),
        (plain.shock[stressed], plain.date[stressed]),
    ):
        pnl = revalue(universe.terms, shock, **execution.kernels)
        cubes.append(
            Cube(_as_futures(pnl, universe, equivalent), scenario=date.astype(str).tolist())
        )
    return cubes[0], cubes[1], priced


def equivalents(
    universe: Universe, rules: Cme, as_of: np.datetime64
) -> tuple[tuple[Integer, Float], Mask]:
    """Return the contract that stands for each Treasury, and how many of it make up a lot.

    Parameters
    ----------
    universe : Universe
        It holds the contracts of `equivalent_contracts`.
    rules : Cme
        The roots by remaining years.
    as_of : datetime64[D]

    Returns
    -------
    contract, ratio : ndarray of int64 and float64
        One entry for each Treasury; they are the universe's first instruments.
    priced : ndarray of bool, [I]
    """
    limits = np.array([limit for limit, _ in rules.equivalent_roots])
    number = {name: i for i, name in enumerate(universe.name.tolist())}
    of_bucket = np.array(
        [number[c.symbol] if c else -1 for c in equivalent_contracts(rules, as_of)]
    )
    treasury = np.flatnonzero(universe.kind == TREASURY)
    bucket = np.minimum(
        np.searchsorted(limits, universe.years[treasury], side="left"), limits.size - 1
    )
    contract = of_bucket[bucket]
    dv01 = universe.sensitivities.dv01
    priced = universe.priced.copy()
    priced[treasury] &= (contract >= 0) & priced[contract] & (dv01[contract] > 0.0)
    ratio = np.zeros(treasury.size)
    np.divide(dv01[treasury], dv01[contract], out=ratio, where=priced[treasury])
    return (contract, ratio), priced


def _as_futures(pnl: Float, universe: Universe, equivalent: tuple[Integer, Float]) -> Float:
    """Return P&L with futures-equivalents for Treasuries, and zero for forward cash legs."""
    contract, ratio = equivalent
    out = np.where((universe.root != "")[:, None], pnl, 0.0)
    out[: contract.size] = exact.round_to_grid(ratio[:, None] * pnl[contract])
    return out


def scaled_cube(
    cube: Cube, factor: Float, universe: Universe, rules: Cme, as_of: np.datetime64
) -> Cube:
    """Return a cube of `cme_cubes` with the P&L of each contract multiplied by a factor.

    Parameters
    ----------
    cube : Cube, [I x S]
    factor : ndarray of float64, [I]
        Of futures.
    universe, rules, as_of
        As for `cme_cubes`.

    Returns
    -------
    Cube
        On the grid. Cash enters as futures-equivalents of the contracts' new P&L.
    """
    equivalent, _ = equivalents(universe, rules, as_of)
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
