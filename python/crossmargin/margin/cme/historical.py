"""The CME-like model by historical simulation: V_C = x HVaR + (1 - x) SVaR.

Methodology, section 5. Cash positions enter as futures-equivalents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Dates, Float, Mask
from crossmargin.conventions import CME, SEGMENTS, UNIONS
from crossmargin.engine import Book, Cube, Execution, Measure, revalue, segment_tails
from crossmargin.engine.execution import DEFAULT_EXECUTION
from crossmargin.instruments.universe import Universe
from crossmargin.margin.cme.equivalents import Equivalents, equivalents
from crossmargin.margin.cme.rule import larger, v_cme, v_cme_stressed
from crossmargin.margin.portfolios import CcpMargin, holds
from crossmargin.margin.stress import in_period, where_it_moves
from crossmargin.market import Market
from crossmargin.market.scenarios import (
    CorrelationScaling,
    HistoryShortError,
    ScenarioStore,
    StressWindow,
    VolatilityScaling,
)
from crossmargin.policies import Cme, CmeCorrelation, CmeFloor, ScenarioRules


@dataclass(frozen=True)
class Stressed:
    """The P&L of SVaR: the periods of stress one after the other.

    Attributes
    ----------
    cube : Cube, [I x S']
        A date that is in two periods occurs twice.
    rows : tuple of slice
        The scenarios of each period.
    windows : tuple of tuple of StressWindow
        What each period consists of.
    """

    cube: Cube
    rows: tuple[slice, ...]
    windows: tuple[tuple[StressWindow, ...], ...]

    def measures(self, level: float) -> tuple[Measure, ...]:
        """Return the VaR of each period."""
        return tuple(Measure(self.cube, level, rows) for rows in self.rows)


def by_period(
    universe: Universe,
    scenarios: ScenarioRules,
    pnl: Float,
    date: Dates,
    name: Sequence[str],
    equivalent: Equivalents | None = None,
) -> Stressed | None:
    """Return the P&L of the periods of stress that have scenarios; None without any.

    Parameters
    ----------
    universe : Universe
    scenarios : ScenarioRules
    pnl : ndarray of float64, [I x S]
        Of unscaled moves.
    date : ndarray of datetime64[D], [S]
        NaT for a scenario without a date.
    name : sequence of str, [S]
        Names of the scenarios.
    equivalent : Equivalents, optional
        Gives the P&L of cash from that of contracts; without it cash has its own.
    """
    parts, rows, kept = [], [], []
    names: list[str] = []
    for windows in scenarios.apart:
        inside = np.zeros(date.size, dtype=bool)
        for window in windows:
            inside |= window.holds(date)
        at = np.flatnonzero(inside)
        if at.size:
            moved = in_period(pnl[:, at], universe, windows, scenarios)
            parts.append(moved if equivalent is None else _as_futures(moved, universe, equivalent))
            rows.append(slice(len(names), len(names) + at.size))
            kept.append(windows)
            names += [name[number] for number in at.tolist()]
    if not parts:
        return None
    return Stressed(Cube(np.hstack(parts), scenario=names), tuple(rows), tuple(kept))


def cme_cubes(
    universe: Universe,
    market: Market,
    rules: Cme,
    scenarios: ScenarioRules,
    correlation: CmeCorrelation | None = None,
    floor: CmeFloor | None = None,
    *,
    equivalent: Equivalents | None = None,
    store: ScenarioStore | None = None,
    execution: Execution = DEFAULT_EXECUTION,
) -> tuple[Cube, Stressed, Mask]:
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
    floor : CmeFloor, optional
        How far today's volatility is raised in calm markets.
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
    stressed : Stressed
        The unscaled moves of the periods of stress.
    priced : ndarray of bool, [I]

    Raises
    ------
    HistoryShortError
        The history holds no stress scenario, or too few rows.
    CorrelationError
        The look-back's correlation cannot be replaced.
    """
    scaling = VolatilityScaling(
        rules.volatility_decay,
        rules.volatility_seed_rows,
        rules.volatility_limit,
        0.0 if floor is None else floor.buffer,
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
        windows = ", ".join(f"{window.first} to {window.last}" for window in scenarios.stress)
        raise HistoryShortError(
            "HISTORY_SHORT: no row of the par yields lies in a stress window of the policy "
            f"({windows or 'it has none'}); give a history that does, or set "
            f"{scenarios.named}"
        )
    equivalent = equivalent or equivalents(universe, rules, market.as_of)
    pnl, stressed_pnl = (
        _of_contracts(universe, shock, execution) for shock in (scaled.shock, plain.shock[stressed])
    )
    # First the contracts stand still, so that cash stands still with the one that stands for it.
    pnl = _as_futures(where_it_moves(pnl, universe, scaled, scenarios), universe, equivalent)
    historical = Cube(pnl, scenario=scaled.date.astype(str).tolist())
    date = plain.date[stressed]
    names = date.astype(str).tolist()
    periods = by_period(universe, scenarios, stressed_pnl, date, names, equivalent)
    assert periods is not None  # A tagged row lies in a period.
    return historical, periods, equivalent.priced


def _of_contracts(universe: Universe, shock: Float, execution: Execution) -> Float:
    """Return the P&L of the futures, and zero for all else, which has none of its own, [I x S]."""
    future = np.flatnonzero(universe.root != "")
    pnl = np.zeros((universe.root.size, len(shock)))
    pnl[future] = revalue(universe.terms.of_instruments(future), shock, **execution.kernels)
    return pnl


def _as_futures(pnl: Float, universe: Universe, equivalent: Equivalents) -> Float:
    """Return P&L with futures-equivalents for Treasuries, and zero for forward cash legs."""
    contract, ratio = equivalent.contract, equivalent.ratio
    out = np.zeros_like(pnl)
    future = np.flatnonzero(universe.root != "")
    out[future] = pnl[future]
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


def cme_vars(book: Book, measures: Sequence[Measure], execution: Execution) -> Float:
    """Return VaR of every portfolio by each measure, [R x 5 x M]."""
    return segment_tails(
        book,
        list(measures),
        segments=len(SEGMENTS),
        unions=UNIONS[CME],
        **execution.kernels,
        es=False,
    ).var


def cme_margin(
    book: Book,
    historical: Cube,
    stressed: Stressed | None,
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
    historical, stressed : Cube, Stressed
        From `cme_cubes`, or the user's; without stress scenarios V_C is HVaR alone.
    priced : ndarray of bool, [I]
        Instruments the cubes cover.
    rules : Cme
        Level and weight.
    execution : Execution

    Returns
    -------
    CcpMargin
        Components HVaR and SVaR, the largest of the periods.
    """
    periods = () if stressed is None else stressed.measures(rules.level)
    var = cme_vars(book, [Measure(historical, rules.level), *periods], execution)
    hvar = var[:, :, 0]
    component = {"HVaR": hvar}
    if stressed is None:
        v = v_cme(hvar)
    else:
        component["SVaR"] = svar = reduce(larger, np.moveaxis(var[:, :, 1:], 2, 0))
        v = v_cme_stressed(rules.historical_weight, hvar, svar)
    return CcpMargin(CME, v, holds(book, CME, ~priced), component)
