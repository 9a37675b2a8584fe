"""What a run's FICC-like margin would be by the other P&L: sensitivities and full revaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.calculation.run import Run
from crossmargin.conventions import FICC, PORTFOLIOS
from crossmargin.margin.ficc.haircuts import haircut_amount, without
from crossmargin.margin.ficc.var import ficc_cube, ficc_margin
from crossmargin.margin.portfolios import CcpMargin, holds
from crossmargin.market import Market
from crossmargin.results.table import Table


def compare_revaluation(run: Run, market: Market, *, threads: int | None = None) -> Table:
    """Return V_F by sensitivities and by full revaluation, and the difference.

    Parameters
    ----------
    run : Run
        From `crossmargin.run` in this process.
    market : Market
        The run's.
    threads : int, optional
        All the process may use if not given.

    Returns
    -------
    Table
        A row per account and portfolio (cash, futures, combined, other, all) that has positions at
        the account's own clearing firm: `v_sensitivity`, `v_full` and `difference`, full minus
        sensitivity, USD, unrounded; null where an instrument is unpriced. Each with our own cube,
        whatever the run took.

    Raises
    ------
    ValueError
        The run has no models, or the market is of another day or has other factors.
    """
    if run.state is None:
        raise ValueError("this run has no models; ask one that was made in this process")
    if market.as_of != run.state.as_of:
        raise ValueError(f"the market is of {market.as_of}, the run of {run.state.as_of}")
    if market.history.factor != run.state.market.history.factor:
        raise ValueError(
            "the market has other factors than the run's, such as a basis from settlement prices; "
            "give run.state.market"
        )
    state, models = run.state, run.state.models
    universe, policy, haircuts = models.universe, models.policy, models.haircuts
    priced = universe.priced if haircuts is None else universe.priced | haircuts.covered
    amount = None if haircuts is None else haircut_amount(state.book, universe, haircuts)

    def margin(pnl: str) -> CcpMargin:
        rules = replace(policy.ficc, pnl=pnl)
        cube = ficc_cube(universe, market, rules, policy.scenarios, threads=threads)
        if haircuts is not None:
            cube = without(cube, haircuts.covered)
        return ficc_margin(
            state.book,
            cube,
            universe,
            priced,
            models.floor_rate,
            rules,
            haircut=amount,
            threads=threads,
        )

    name = run.accounts.to_arrow()["account"]
    sensitivity, full = (margin(pnl) for pnl in ("sensitivity", "full"))
    account, portfolio = np.nonzero(holds(state.book, FICC)[: len(name)])
    unknown = full.unknown[account, portfolio]
    by = {"v_sensitivity": sensitivity.v[account, portfolio], "v_full": full.v[account, portfolio]}
    by["difference"] = by["v_full"] - by["v_sensitivity"]
    return Table(
        pa.table(
            {
                "account": name.take(columns.column(account)),
                "portfolio": columns.chosen(PORTFOLIOS, portfolio),
                **{key: columns.column(value, ~unknown) for key, value in by.items()},
            }
        )
    )
