"""What loose hedges save, by the curve alone and with what moves securities and futures apart.

Each hedge is an account of its own: 100 million USD of a tenor's latest issue against a future of
the same DV01, on real par yields.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from tools.calibration.pages import style, svg, table

import crossmargin as xm
from crossmargin.instruments.benchmarks import benchmarks, front_contracts
from crossmargin.market import Market
from crossmargin.policies import BasisProcessRules, Policy, SpreadRules, read_policy

AS_OF = "2025-03-13"
FACE = 100_000_000.0
HEDGES = (
    *((2, "ZT"), (2, "UB"), (5, "ZF"), (7, "ZN"), (7, "ZB")),
    *((10, "ZF"), (10, "TN"), (20, "ZB"), (20, "UB"), (30, "UB")),
)
"""Tenor of the security, and root of the future."""
RATES = ("offset_rate_ficc", "offset_rate_cme", "offset_rate")

Rates = dict[str, tuple[float, ...]]
"""By account: the rate at FICC, at CME, and of the agreement."""


def fragment(policies: Sequence[str], data: Path) -> tuple[str, dict[str, str]]:
    """Return what the hedges save before and after, as Markdown and figures.

    Parameters
    ----------
    policies : sequence of str
        The policy before, and the policy after, which has the tables `spreads` and
        `basis_process`.
    data : Path
        A folder with `us_treasury_par_yields.csv.gz` and `fixed_coupon_master.csv`.

    Returns
    -------
    markdown : str
    figures : dict of str to str
        SVG by file name.
    """
    market = xm.read_market(data / "us_treasury_par_yields.csv.gz", as_of=AS_OF)
    securities = data / "fixed_coupon_master.csv"
    policy = read_policy(policies[-1])
    alone = policy.without_sections(SpreadRules, BasisProcessRules)
    positions = _positions(alone, market, securities)
    before, after = (_rates(rules, market, securities, positions) for rules in (alone, policy))
    markdown = f"### Hedges\n\n{_table(policy.name, before, after)}\n"
    return markdown, {"hedges.svg": _figure(before, after)}


def _positions(policy: Policy, market: Market, securities: Path) -> pa.Table:
    """Return the hedges, each in an account that is named after it."""
    one = _run(policy, market, securities, _rows([("PROBE", "ZNM25", "future", 1.0)]))
    known = one.stages.parsed.securities
    latest = benchmarks(known, market.as_of)
    front = {c.root: c.symbol for c in front_contracts([root for _, root in HEDGES], market.as_of)}
    cusips = {tenor: str(known.cusip[latest[tenor]]) for tenor, _ in HEDGES}
    probe = [("PROBE", cusip, "cash", 100.0) for cusip in cusips.values()]
    probe += [("PROBE", symbol, "future", 1.0) for symbol in front.values()]
    universe = _run(policy, market, securities, _rows(probe)).stages.models.universe
    dv01 = dict(zip(universe.name.tolist(), universe.sensitivities.dv01.tolist(), strict=True))
    rows = []
    for tenor, root in HEDGES:
        cusip, symbol = cusips[tenor], front[root]
        contracts = round(FACE / 100.0 * dv01[cusip] / dv01[symbol])
        account = _account(tenor, root)
        rows.append((account, cusip, "cash", FACE))
        rows.append((account, symbol, "future", -float(contracts)))
    return _rows(rows)


def _account(tenor: int, root: str) -> str:
    return f"{tenor}-year, {root}"


def _rows(rows: list[tuple[str, str, str, float]]) -> pa.Table:
    account, instrument, kind, quantity = zip(*rows, strict=True)
    return pa.table(
        {
            "account": account,
            "instrument": instrument,
            "kind": kind,
            "quantity": quantity,
            "xm": ["true"] * len(rows),
        }
    )


def _run(policy: Policy, market: Market, securities: Path, positions: pa.Table) -> xm.RunResult:
    names = list(dict.fromkeys(positions["account"].to_pylist()))
    accounts = {
        "account": names,
        "origin": ["customer"] * len(names),
        "ficc_role": ["sponsored_member"] * len(names),
        "opted_in": ["true"] * len(names),
        "clearing_firm": ["FCM1"] * len(names),
    }
    return xm.run(
        positions=positions,
        accounts=pa.table(accounts),
        securities=securities,
        market=market,
        policy=policy,
    )


def _rates(policy: Policy, market: Market, securities: Path, positions: pa.Table) -> Rates:
    """Return the offset rates of each account."""
    accounts = pa.table(_run(policy, market, securities, positions).accounts)
    rates = zip(*(accounts[name].to_pylist() for name in RATES), strict=True)
    return dict(zip(accounts["account"].to_pylist(), rates, strict=True))


def _table(name: str, before: Rates, after: Rates) -> str:
    rows = []
    for account in before:
        pairs = zip(before[account], after[account], strict=True)
        rows.append([account, *(f"{rate:.1%}" for pair in pairs for rate in pair)])
    head = ["hedge", "FICC before", "after", "CME before", "after", "rate before", "after"]
    return (
        f"Offset rates under `{name}`, as of {AS_OF}: the latest issue of a tenor against the "
        "front contract, of equal DV01. *Before* is the same policy without its tables `spreads` "
        "and `basis_process`.\n\n" + table(head, rows)
    )


def _figure(before: Rates, after: Rates) -> str:
    """Return the smaller rate of each hedge, before the cap, as SVG."""
    place = np.arange(len(before))
    with style("hedges"):
        figure = Figure(figsize=(9.0, 3.8), layout="constrained")
        axes = figure.subplots()
        for n, (label, rates) in enumerate({"before": before, "after": after}.items()):
            smaller = [100.0 * min(rate[:2]) for rate in rates.values()]
            axes.bar(place + 0.4 * n - 0.2, smaller, 0.38, label=label)
        axes.axhline(80.0, color="k", linewidth=0.8, linestyle="--")
        axes.text(-0.6, 80.8, "cap")
        axes.set_xticks(place, list(before), rotation=30, ha="right")
        axes.set_ylabel("smaller saving of both, %")
        axes.set_ylim(40.0, 100.0)
        axes.legend(frameon=False, loc="lower right")
        return svg(figure)
