"""Scan ranges of SR3 beside the margins that the exchange published for a hedge of June 2025."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tools.calibration.pages import table
from tools.calibration.strip import PUBLISHED, STRIP_DAY

from crossmargin.calculation.policy_market import policy_market
from crossmargin.conventions import CME
from crossmargin.engine import Execution
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import build_universe
from crossmargin.io.market import read_market
from crossmargin.margin.ccps import clearing_houses
from crossmargin.margin.cme.model import PreparedSpan
from crossmargin.margin.cme.span_ranges import months_ahead
from crossmargin.margin.model import ModelInputs
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import Policy, read_policy

AS_OF = np.datetime64(STRIP_DAY)
YIELDS = "us_treasury_par_yields.csv.gz"
LOTS = (100, 99, 99, 98, 97, 96, 95, 95)
"""Contracts of each quarter in CME's hedge of a two-year swap."""


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
    rows = []
    for quarter, margin, *ranges in zip(PUBLISHED, PUBLISHED.values(), *usd, strict=True):
        rows.append([quarter, f"{margin:,.0f}", *(f"{one:,.0f}" for one in ranges)])
    totals = [
        sum(lots * one for lots, one in zip(LOTS, amounts, strict=True))
        for amounts in (PUBLISHED.values(), *usd)
    ]
    rows.append(["the hedge, 779 contracts", *(f"{total:,.0f}" for total in totals)])
    text = (
        f"Scan ranges of SR3 on {AS_OF}, USD a contract. The margins are initial ones as CME "
        "published them: more than the maintenance margin, which a scan range compares with, by "
        "a tenth or so. The hedge is that of CME's example, all on one side."
    )
    return f"### Scan ranges by tier\n\n{text}\n\n{table(head, rows)}\n", {}


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
    contracts = [parse_contract(f"SR3{quarter}", AS_OF) for quarter in PUBLISHED]
    numbers = [ranges.number("SR3", months_ahead(one.month, AS_OF)) for one in contracts]
    return [float(ranges.usd[number]) for number in numbers]
