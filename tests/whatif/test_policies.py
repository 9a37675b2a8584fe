"""Under every policy a cached account answers as the columnar models do, to the bit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.policies import read_policy
from crossmargin.policies.files import shipped_policies
from crossmargin.policies.policy import DEFAULT
from crossmargin.policies.sections.charges import GrossValueCharge, HolidayRules
from crossmargin.sample import sample_tables

EXAMPLES = Path(__file__).resolve().parents[2] / "docs/policies"
SPAN, CHARGES = f"{DEFAULT}-span", f"{DEFAULT}-charges"
MIXED = """
name = "mixed"
title = "mixed"
authority = "nobody"
extends = "{extends}"
[agreement.offset_method]
value = "class_disallowance"
evidence = "ours"
source = "a test"
[class_disallowance]
classes = {{ value = [["2Y", 2.5], ["10Y", 12.0], ["30Y", 40.0]], evidence = "ours", source = "x" }}
within = {{ value = [0.1, 0.2, 0.3], evidence = "ours", source = "x" }}
across = {{ value = [["2Y", "10Y", 0.5]], evidence = "ours", source = "x" }}
"""
VOLUMES = pa.table({"contract": ["ZT", "ZF", "ZN"], "adv": [400.0, 300.0, 200.0]})
OBSERVED = pa.table(
    {"instrument": ["ZT", "ZN"], "date": ["2026-01-05"] * 2, "maintenance": [900.0, 1600.0]}
)
POLICIES = (
    *shipped_policies(),
    *("reducible", "span by class", "haircuts by class"),
    *sorted(file.stem for file in EXAMPLES.glob("*.toml")),
)


def with_another_ccp(positions: pa.Table) -> pa.Table:
    """Return positions of which some of cash are cleared by XYZ."""
    kinds = positions["kind"].to_pylist()
    ccp = [
        "XYZ" if kind in ("cash", "repo", "reverse") and number % 4 == 0 else None
        for number, kind in enumerate(kinds)
    ]
    return positions.append_column("ccp", pa.array(ccp, pa.string()))


@cache
def session_of(name: str, folder: Path) -> xm.Session:
    """Return a session on the sample book under a policy."""
    tables = sample_tables(accounts=50)
    book = {name: tables[name] for name in ("positions", "accounts", "securities")}
    policy: Any = name if name in shipped_policies() else EXAMPLES / f"{name}.toml"
    if name == "reducible":
        charges = (
            GrossValueCharge("a", "FICC", 0.001, True, "ours", "a test"),
            GrossValueCharge("b", "FICC", 0.0003, False, "ours", "a test"),
        )
        policy = replace(read_policy(CHARGES).with_sections(HolidayRules(0.1)), charges=charges)
    elif name.endswith("by class"):
        policy = folder / "mixed.toml"
        policy.write_text(MIXED.format(extends=SPAN if "span" in name else CHARGES))
    if name == "example-third-ccp":
        book["positions"] = with_another_ccp(book["positions"])
    volumes = VOLUMES if name == "example-charges" else None
    observed = OBSERVED if name == "example-observed-margins" else None
    run = xm.run(
        **book,
        market=xm.sample_market(),
        policy=policy,
        volumes=volumes,
        observed_margins=observed,
    )
    return xm.Session(run, threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policies")


def answers(session: xm.Session, account: str, trades: dict[str, float], inside: bool) -> list[Any]:
    """Return the answer of the cached account and that of the columns, as text."""
    scope = session.scope(trades)
    assert scope.cached is not None
    number = scope.account(account)
    cached = scope.cached.ask(number, scope.trade_legs(number, trades, xm=inside))
    columns = session.what_ifs([(account, trades)], xm=inside).to_arrow().to_pylist()[0]
    return [repr(cached), repr(columns)]


@pytest.mark.parametrize("policy", POLICIES)
def test_every_account_is_cached_and_answers_as_the_columns_do(policy: str, folder: Path) -> None:
    session = session_of(policy, folder)
    names = list(session.instruments)
    rng = np.random.default_rng(5)
    for account in session.accounts:
        for inside in (True, False):
            legs = rng.choice(names, 3, replace=False).tolist()
            trades = {name: 100.0 * int(rng.integers(-90, 90)) for name in legs}
            cached, columns = answers(session, account, trades, inside)
            assert cached == columns
        cached, columns = answers(session, account, {}, True)
        assert cached == columns


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_trade_is_answered_as_the_columns_do(policy: str, folder: Path, data: Any) -> None:
    session = session_of(policy, folder)
    held = st.sampled_from(session.accounts)
    names = data.draw(st.lists(st.sampled_from(session.instruments), max_size=6, unique=True))
    number = st.one_of(st.integers(-30, 30), st.integers(-5_000, 5_000))
    # Contracts, or USD 100,000 of face: so few that all sums are exact.
    traded = {name: data.draw(number) * (1.0 if len(name) <= 6 else 1e5) for name in sorted(names)}
    cached, columns = answers(session, data.draw(held), traded, data.draw(st.booleans()))
    assert cached == columns


def test_the_outcomes_are_worth_comparing(folder: Path) -> None:
    for policy in POLICIES:
        session = session_of(policy, folder)
        rows = session.what_ifs([(account, {}) for account in session.accounts]).to_arrow()
        assert sum(rate > 0.0 for rate in rows["offset_rate"].to_pylist()) > 15, policy
        if policy == "example-third-ccp":
            assert sum(bool(usd) for usd in rows["other_ccps"].to_pylist()) > 15


@pytest.mark.parametrize("policy", [SPAN, "example-span", "example-charges"])
def test_amounts_that_no_account_can_have_are_the_same_error(policy: str, folder: Path) -> None:
    session = session_of(policy, folder)
    trades = dict.fromkeys([n for n in session.instruments if n.startswith("ZN")], 1e8)
    said = []
    for ask in (
        lambda: session.what_if(session.accounts[7], trades),
        lambda: session.what_ifs([(session.accounts[7], trades)]).to_arrow().to_pylist()[0],
    ):
        try:
            said.append(repr(ask()))
        except ValueError as error:
            said.append(f"{type(error).__name__}: {error}")
    assert said[0] == said[1]
