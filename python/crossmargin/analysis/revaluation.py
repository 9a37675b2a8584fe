"""A run's FICC-like margin by sensitivities and by full revaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossmargin import columns
from crossmargin.calculation.policy_market import policy_market
from crossmargin.calculation.result import RunResult, stages_of
from crossmargin.conventions import FICC, PORTFOLIOS
from crossmargin.engine import Execution
from crossmargin.margin.ficc.model import FiccVar
from crossmargin.margin.model import ModelInputs
from crossmargin.margin.portfolios import CcpMargin, holds
from crossmargin.market import Market
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import HaircutRules
from crossmargin.results.schemas.compare import REVALUATION
from crossmargin.results.table import Table


def compare_revaluation(run: RunResult, market: Market, *, threads: int | None = None) -> Table:
    """Return V_F by sensitivities and by full revaluation, and the difference.

    Parameters
    ----------
    run : RunResult
        From `crossmargin.run` in this process.
    market : Market
        The run's market.
    threads : int, optional
        Default: as many as the process may use.

    Returns
    -------
    Table
        A row per account and portfolio (cash, futures, combined, other, all) that has positions at
        the account's own clearing firm: `v_sensitivity`, `v_full` and `difference`, full minus
        sensitivity, USD, unrounded; null where an instrument is unpriced. Both use our own cubes,
        even if the run used the user's.

    Raises
    ------
    ValueError
        The run has no stages, or the market is of another day or has other factors.
    """
    stages = stages_of(run)
    models, book = stages.models, stages.netted.book
    if market.as_of != models.market.as_of:
        raise ValueError(f"the market is of {market.as_of}, the run of {models.market.as_of}")
    market = policy_market(models.policy, market)
    if market.history.factor != models.market.history.factor:
        raise ValueError(
            "the market has other factors than the run's, such as a basis from settlement prices; "
            "give run.stages.models.market"
        )
    execution = Execution(threads)
    policy = models.policy
    inputs = ModelInputs(
        universe=models.universe,
        held=stages.parsed.securities.take(stages.parsed.trades.held),
        market=market,
        scenarios=policy.scenarios_of(FICC),
        eligible=models.eligible,
        store=ScenarioStore(),
    )

    def margin(pnl: str) -> CcpMargin:
        model = FiccVar(replace(policy.ficc, pnl=pnl), policy.get(HaircutRules))
        return model.prepare(inputs, execution).margin(book, execution)

    name = run.accounts.to_arrow()["account"]
    sensitivity, full = (margin(pnl) for pnl in ("sensitivity", "full"))
    account, portfolio = np.nonzero(holds(book, FICC)[: len(name)])
    unknown = full.unknown[account, portfolio]
    by = {"v_sensitivity": sensitivity.v[account, portfolio], "v_full": full.v[account, portfolio]}
    by["difference"] = by["v_full"] - by["v_sensitivity"]
    return Table(
        REVALUATION.table(
            {
                "account": name.take(columns.column(account)),
                "portfolio": columns.chosen(PORTFOLIOS, portfolio),
                **{key: columns.column(value, ~unknown) for key, value in by.items()},
            }
        )
    )
