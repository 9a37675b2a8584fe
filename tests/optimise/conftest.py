"""Random books of small accounts, run through the whole pipeline under many policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.arrays import Integer
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.moves import Movable, margin_after, movable
from crossmargin.calculation.result import Stages, stages_of
from crossmargin.engine import Execution
from crossmargin.market.curve import TENORS
from crossmargin.policies import CmeFloor, HaircutRules, Policy, Span, Stress
from crossmargin.policies.files import shipped_policies
from crossmargin.policies.policy import DEFAULT
from crossmargin.policies.sections.charges import GrossValueCharge

Row = dict[str, Any]

AS_OF = np.datetime64("2025-03-13")
HISTORY = 130
EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "policies"

SECURITIES = (
    ("ZT0000001", "4.125", "2025-02-28", "2027-02-28", ""),
    ("ZT0000002", "4.25", "2022-03-31", "2027-03-31", ""),
    ("Z3N000001", "4.25", "2025-03-15", "2028-03-15", ""),
    ("ZF0000001", "4", "2025-02-28", "2030-02-28", ""),
    ("ZN0000001", "4.5", "2024-12-31", "2031-12-31", ""),
    ("ZN0000002", "4.25", "2025-02-28", "2032-02-29", ""),
    ("TN0000001", "4.625", "2025-02-15", "2035-02-15", ""),
    ("TWE000001", "4.75", "2025-02-15", "2045-02-15", ""),
    ("ZB0000001", "3", "2012-05-15", "2042-05-15", ""),
    ("UB0000001", "4.625", "2025-02-15", "2055-02-15", ""),
    ("SHORT0000", "4", "2021-02-15", "2026-02-15", ""),
    ("TIPS00001", "1", "2024-01-15", "2034-01-15", "tips"),
)
NOTES = tuple(row[0] for row in SECURITIES[:10])
INELIGIBLE = tuple(row[0] for row in SECURITIES[10:])
TREASURY_FUTURES = ("ZTM25", "ZFM25", "ZNM25", "ZBM25", "UBM25")
CONTRACTS = (*TREASURY_FUTURES, "SR3U25", "ZQK25")
OFTEN = ("ZTM25", "ZTM25", "ZFM25", "ZFM25", "ZNM25", "ZNM25", "SR3U25", "ZQK25", "ZBM25", "UBM25")
UNDELIVERABLE = "ZNU25"
"""Nothing is deliverable into it: only a user's own cube covers it."""

OWN, OFF_GRID = "own cubes", "own cubes off the grid"
POLICIES = (
    *shipped_policies(),
    "example-charges",
    "example-class-disallowance",
    "example-spread-credit",
    "example-span",
    "example-third-ccp",
    "no cap",
    "low cap",
    "high minimum",
    "many charges",
    "half level",
    "periods",
)
BOOKS = (*POLICIES, OWN, OFF_GRID)


@cache
def _market() -> xm.Market:
    """Return a market of rates that wander, with a basis of ZN."""
    draw = np.random.default_rng(1)
    days = np.busday_offset(AS_OF, np.arange(1 - HISTORY, 1), roll="backward")
    level = np.array([4.3, 4.3, 4.2, 4.1, 4.0, 4.0, 4.1, 4.2, 4.3, 4.7, 4.6])
    common, own = draw.integers(-9, 10, (HISTORY, 1)), draw.integers(-4, 5, (HISTORY, level.size))
    away = np.zeros((HISTORY, level.size))
    for row in range(1, HISTORY):
        away[row] = 0.9 * away[row - 1] + 0.01 * (common + own)[row]
    percent = np.round(level + away, 2)
    yields = pa.table({"date": days, **dict(zip(TENORS, percent.T, strict=True))})
    basis = pa.table(
        {
            "date": days,
            "root": ["ZN"] * HISTORY,
            "contract": ["ZNM25"] * HISTORY,
            "basis": np.round(draw.integers(-9, 10, HISTORY) / 64.0, 4),
        }
    )
    return xm.read_market(yields, as_of=AS_OF, basis=basis)


@cache
def _policy(name: str) -> Policy:
    """Return a policy for the short history."""
    source: str | Path | None = name
    if name.startswith("example"):
        source = EXAMPLES / f"{name}.toml"
    elif name not in shipped_policies():
        source = None
    rules = xm.read_policy(source)
    first, last = (str(_market().history.date[row]) for row in (0, 45))
    scenarios = replace(
        rules.scenarios, look_back=90, minimum_rows=80, stress_windows=((first, last),)
    )
    windows = {"look_back": 90, "minimum_rows": 80, "stress_windows": [[first, last]]}
    further = tuple(replace(ccp, parameters={**ccp.parameters, **windows}) for ccp in rules.ccps)
    rules = replace(
        rules,
        scenarios=scenarios,
        ficc=replace(rules.ficc, minimum_margin_rows=45, floor_rows=40),
        cme=replace(rules.cme, volatility_seed_rows=15),
        ccps=further,
    )
    if rules.get(Stress) is not None:
        periods = tuple((ccp, "first", first, last, ()) for ccp in ("FICC", "CME"))
        rules = rules.with_sections(Stress(periods))
    if (span := rules.get(Span)) is not None:
        rules = rules.with_sections(replace(span, calibration_rows=80))
    agreement = rules.agreement
    if name == "no cap":
        return replace(rules, agreement=replace(agreement, cap=1.0))
    if name == "low cap":
        # Moving everything is often best, and tails hold several scenarios.
        return replace(
            rules,
            agreement=replace(agreement, cap=0.25),
            ficc=replace(rules.ficc, level=0.95),
            cme=replace(rules.cme, level=0.95),
        )
    if name == "high minimum":
        return replace(rules, agreement=replace(agreement, minimum_saving=0.4))
    if name == "half level":
        # A tail of more than half of all scenarios, and all the weight on one measure.
        return replace(
            rules,
            agreement=replace(agreement, cap=1.0),
            cme=replace(rules.cme, level=0.4, historical_weight=1.0),
        )
    if name == "periods":
        days = [str(_market().history.date[row]) for row in (0, 45, 46, 60, 85, 95)]
        return rules.with_sections(
            Stress(
                tuple(
                    (ccp, period, first, last, names)
                    for ccp in ("FICC", "CME")
                    for period, first, last, names in (
                        ("first", *days[:2], ()),
                        ("second", *days[2:4], ("ZN", "ZF")),
                        ("third", *days[4:], ()),
                    )
                )
            ),
            CmeFloor(0.25),
        )
    if name == "many charges":
        charges = tuple(
            GrossValueCharge(f"{ccp} {number}", ccp, 1e-5 * number, bool(number % 2), "ours", "")
            for number in range(1, 8)
            for ccp in ("FICC", "CME")
        )
        return replace(rules, charges=charges)
    return rules


def _table(rows: list[Row], columns: str) -> pa.Table:
    """Return rows as a table of text, blank where a row says nothing."""
    return pa.table({c: pa.array([str(r.get(c, "")) for r in rows]) for c in columns.split()})


def _run(rows: list[Row], policy: str = DEFAULT, **options: Any) -> xm.RunResult:
    """Run a book under a policy; each account that the rows name may be cross-margined."""
    if policy in (OWN, OFF_GRID):
        options |= own_cubes(policy == OFF_GRID)
    rules = options.pop("rules", None) or _policy(policy if policy in POLICIES else DEFAULT)
    names = sorted({row["account"] for row in rows})
    people = [
        {
            "account": name,
            "origin": "customer",
            "ficc_role": "sponsored_member",
            "opted_in": "yes",
            "clearing_firm": "F1",
        }
        for name in names
    ]
    columns = "cusip coupon_pct issue_date maturity_date type"
    priced = rules.get(HaircutRules) is not None or policy in (OWN, OFF_GRID)
    known = [
        dict(zip(columns.split(), row, strict=True))
        | {"price": "98.5" if priced and row[0] in INELIGIBLE else ""}
        for row in SECURITIES
    ]
    return xm.run(
        positions=_table(
            rows,
            "account kind instrument quantity xm start_date end_date repo_rate start_cash "
            "clearing_firm ccp",
        ),
        accounts=_table(people, "account origin ficc_role opted_in clearing_firm"),
        securities=_table(known, f"{columns} price"),
        policy=rules,
        volumes=pa.table({"contract": ["ZT", "ZF", "ZN"], "adv": [20.0, 10.0, 10.0]})
        if policy == "example-charges"
        else None,
        **{"threads": 1, "market": _market()} | options,
    )


@cache
def own_cubes(off_grid: bool) -> dict[str, pa.Table]:
    """Return made-up P&L for both clearing houses, on the grid or off it."""
    draw = np.random.default_rng(5)
    days = [str(day) for day in _market().history.date[-60:]] + [
        str(day) for day in _market().history.date[:20]
    ]
    names = [*NOTES, *INELIGIBLE, *CONTRACTS, UNDELIVERABLE]
    tables = {}
    for ccp in ("ficc", "cme"):
        common = draw.integers(-60, 61, len(days))
        size = np.array([1.0 if len(name) == 9 else 500.0 for name in names])
        pnl = (common + draw.integers(-25, 26, (len(names), len(days)))) / 64.0 * size[:, None]
        if off_grid:
            pnl = pnl / 3.0
        tables[f"{ccp}_cube"] = pa.table(
            {"instrument": names, **dict(zip(days, pnl.T, strict=True))}
        )
    return tables


def _book(
    seed: int, accounts: int, *, lines: int = 3, contracts: int = 4, policy: str = DEFAULT
) -> list[Row]:
    """Return positions of accounts with some lines of cash and futures, and odd ones among them."""
    rng = np.random.default_rng(seed)
    futures = [*OFTEN, UNDELIVERABLE] if policy in (OWN, OFF_GRID) else [*OFTEN]
    rows: list[Row] = []

    def cash(account: str, names: tuple[str, ...], **more: str) -> Row:
        lots = int(rng.integers(1, 12)) * int(rng.choice([-1, 1]))
        return {
            "account": account,
            "kind": "cash",
            "instrument": str(rng.choice(names)),
            "quantity": 100_000 * lots,
            "xm": "yes",
        } | more

    for number in range(accounts):
        account = f"A{number:03d}"
        oddity = int(rng.integers(0, 12))
        if oddity != 0:
            side = int(rng.choice([-1, 1]))
            for _ in range(int(rng.integers(1, 4))):
                row = cash(account, NOTES)
                if rng.random() < 0.7:
                    row["quantity"] = side * abs(row["quantity"])
                rows.append(row)
        for name in rng.permutation(sorted(set(futures)))[: int(rng.integers(1, lines + 1))]:
            total = int(rng.integers(1, contracts + 1)) * int(rng.choice([-1, 1]))
            future = {"account": account, "kind": "future", "instrument": str(name)}
            crossed = int(
                rng.choice([0, total, int(rng.integers(0, abs(total) + 1)) * (total > 0)])
            )
            if oddity == 1:
                # Long in one account and short in the other.
                crossed = total + int(rng.integers(1, 3)) * (1 if total > 0 else -1)
            for quantity, place in ((crossed, "yes"), (total - crossed, "no")):
                if quantity:
                    rows.append(future | {"quantity": quantity, "xm": place})
            if oddity == 2:
                rows.append(future | {"quantity": 2, "xm": "yes", "clearing_firm": "F9"})
        if oddity == 3:
            rows.append(cash(account, INELIGIBLE))
        if oddity == 4:
            rows.append(cash(account, NOTES, xm="no"))
        if oddity == 5:
            lots = int(rng.integers(1, 3))
            rows.append(
                {
                    "account": account,
                    "kind": str(rng.choice(["repo", "reverse"])),
                    "instrument": str(rng.choice(NOTES)),
                    "quantity": 36_000_000 * lots,
                    "start_cash": 36_000_000 * lots,
                    "repo_rate": "3.6",
                    "start_date": "2025-03-13",
                    "end_date": "2025-03-23",
                    "xm": "yes",
                }
            )
        if policy == "example-third-ccp" and oddity > 6:
            rows.append(cash(account, NOTES, ccp="XYZ"))
    return rows


@dataclass(frozen=True)
class Judged:
    """A run, its movable lines, and how to judge choices."""

    run: xm.RunResult
    stages: Stages
    lines: Movable

    def requirements(self, account: Integer, choice: Integer) -> Integer:
        """Return the requirement after a choice for each account, cents."""
        moved = margin_after(self.lines, self.stages.models, account, choice, Execution(1))
        assert moved.requirements.requirement.known.all()
        return moved.requirements.requirement.cents

    def choices(self, account: int) -> Integer:
        """Return every choice of an account, [N x D]: in range, or a line as it is now."""
        lines = self.lines
        at = lines.lines_of(np.array([account]))
        ranges = [
            sorted({*range(lines.lower[line], lines.upper[line] + 1), int(lines.crossed[line])})
            for line in at.tolist()
        ]
        return np.array(list(product(*ranges)), dtype=np.int64).reshape(-1, at.size)

    def every(self, account: int) -> tuple[Integer, Integer]:
        """Return every choice of an account, [N x D], and its requirement, cents [N]."""
        choices = self.choices(account)
        asked = np.full(choices.shape[0], account)
        return choices, self.requirements(asked, choices.ravel())

    @property
    def accounts(self) -> Integer:
        """The accounts with a choice, ascending."""
        known = self.stages.requirements.requirement.known
        return np.flatnonzero((self.lines.count > 0) & known)


def _judged(run: xm.RunResult) -> Judged:
    stages = stages_of(run)
    batch = Batch(stages.netted.book, stages.netted.elsewhere, stages.clients)
    return Judged(run, stages, movable(batch, stages.models))


@pytest.fixture(scope="session")
def small_run() -> Callable[..., xm.RunResult]:
    """Return a function from rows of positions and the name of a policy to a run."""
    return _run


@pytest.fixture(scope="session")
def small_policy() -> Callable[[str], Policy]:
    """Return a function from a name to a policy for the short history."""
    return _policy


@pytest.fixture(scope="session")
def small_book() -> Callable[..., list[Row]]:
    """Return a maker of random books of small accounts."""
    return _book


@pytest.fixture(scope="session")
def judged() -> Callable[[xm.RunResult], Judged]:
    """Return a function from a run to its movable lines and their judge."""
    return _judged
