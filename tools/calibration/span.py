"""Scan ranges of SR3 beside the margins that the exchange published for a hedge of June 2025."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crossmargin.calculation.policy_market import policy_market
from crossmargin.conventions import CME
from crossmargin.engine import Execution
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import build_universe
from crossmargin.io.market import read_market
from crossmargin.margin.ccps import clearing_houses
from crossmargin.margin.cme.model import PreparedSpan
from crossmargin.margin.cme.span_ranges import months_ahead
from crossmargin.margin.model import ModelInputs
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import Policy, read_policy

AS_OF = np.datetime64("2025-06-04")
YIELDS = "us_treasury_par_yields.csv.gz"
PUBLISHED = {
    "2025-06": 425.0,
    "2025-09": 650.0,
    "2025-12": 765.0,
    "2026-03": 825.0,
    "2026-06": 825.0,
    "2026-09": 825.0,
    "2026-12": 800.0,
    "2027-03": 750.0,
}
"""Initial margins of one contract, USD, in CME's hedge of a two-year swap with eight quarters."""
LOTS = (100, 99, 99, 98, 97, 96, 95, 95)


def fragment(policies: Sequence[str], data: Path) -> tuple[str, dict[str, str]]:
    """Return the scan ranges of eight quarters before and after, as Markdown.

    Parameters
    ----------
    policies : sequence of str
        The policy before and the one after; their variants with SPAN (`NAME-span`) are compared.
    data : Path
        A folder with the par yields.

    Returns
    -------
    markdown : str
    figures : dict of str to str
        None.
    """
    names = [f"{name}-span" for name in policies]
    usd = [_ranges(read_policy(name), data) for name in names]
    head = ["SR3", "published initial margin", *(f"scan range, {name}" for name in names)]
    rows = [head, ["---"] * len(head)]
    for month, margin, *ranges in zip(PUBLISHED, PUBLISHED.values(), *usd, strict=True):
        rows.append([month, f"{margin:,.0f}", *(f"{one:,.0f}" for one in ranges)])
    totals = [
        sum(lots * one for lots, one in zip(LOTS, amounts, strict=True))
        for amounts in (PUBLISHED.values(), *usd)
    ]
    rows.append(["the hedge, 779 contracts", *(f"{total:,.0f}" for total in totals)])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    text = (
        f"Scan ranges of SR3 on {AS_OF}, USD a contract. The margins are initial ones as CME "
        "published them: more than the maintenance margin, which a scan range compares with, by "
        "a tenth or so. The hedge is that of CME's example, all on one side."
    )
    return "\n".join(["## Scan ranges by tier", "", text, "", *lines, ""]), {}


def _ranges(policy: Policy, data: Path) -> list[float]:
    """Return the scan range of each quarter under a policy."""
    market = policy_market(policy, read_market(data / YIELDS, as_of=str(AS_OF)))
    model = next(house.model for house in clearing_houses(policy) if house.ccp == CME)
    dates, texts, numbers = np.empty(0, "datetime64[D]"), np.empty(0, object), np.empty(0)
    none = Securities(texts, texts, numbers, dates, dates, dates, numbers, texts, numbers)
    # Without securities no Treasury future is priced; SR3 needs none.
    universe = build_universe(
        securities=none,
        held=np.empty(0, np.int64),
        cash_dates=dates,
        contracts=sorted(set(model.contracts(AS_OF)), key=lambda one: one.symbol),
        market=market,
    )
    inputs = ModelInputs(
        universe, none, market, policy.scenarios, np.ones(universe.name.size, bool), ScenarioStore()
    )
    prepared = model.prepare(inputs, Execution(1))
    assert isinstance(prepared, PreparedSpan)
    ranges = prepared.model.ranges
    months = [months_ahead(Contract("SR3", np.datetime64(m)).month, AS_OF) for m in PUBLISHED]
    return [float(ranges.usd[ranges.number("SR3", month)]) for month in months]
