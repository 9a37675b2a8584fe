"""The whole run in Python, tables in and tables out, on the synthetic market and book."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

import crossmargin as xm
from crossmargin.engine import default_threads
from crossmargin.market.curve import Curve
from crossmargin.policies.files import shipped_policies
from crossmargin.sample import sample_tables

ACCOUNTS = 1000
EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "policies"
INPUTS = ("positions", "accounts", "securities")


@pytest.fixture(scope="module")
def book():
    tables = sample_tables(accounts=ACCOUNTS)
    return {name: tables[name] for name in INPUTS}


@pytest.fixture(scope="module")
def market():
    return xm.sample_market()


@pytest.mark.parametrize("threads", sorted({1, default_threads()}))
def test_run(benchmark, book, market, answer, threads):
    run = benchmark.pedantic(
        lambda: xm.run(**book, market=market, threads=threads), rounds=3, warmup_rounds=1
    )
    benchmark.extra_info["accounts/s"] = round(len(run.accounts) / benchmark.stats["median"])
    assert run.manifest["results"] == answer


POLICIES = (
    *shipped_policies(),
    EXAMPLES / "example-class-disallowance.toml",
    EXAMPLES / "example-spread-credit.toml",
)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: Path(policy).stem)
def test_cost_of_each_policy(benchmark, book, market, policy):
    rules = xm.read_policy(policy)
    run = benchmark.pedantic(
        lambda: xm.run(**book, market=market, policy=rules), rounds=3, warmup_rounds=1
    )
    assert run.manifest["policy"]["name"] == rules.name


@pytest.fixture(scope="module")
def answer(book, market):
    """Return the hashes of the results by the NumPy reference."""
    return xm.run(**book, market=market, backend="reference").manifest["results"]


def test_sample(benchmark):
    tables = benchmark.pedantic(lambda: sample_tables(accounts=ACCOUNTS), rounds=3)
    assert len(tables["accounts"]) >= ACCOUNTS


def test_replay(benchmark, book, market):
    """A day of a replay, beside a whole run above: the same book, each time another curve."""
    log_df = market.curve.log_df
    curves = (Curve(market.as_of, log_df * (1.0 + n / 1000.0)) for n in count())
    days = xm.replay(**book, markets=map(market.with_curve, curves))
    benchmark.pedantic(lambda: next(days), rounds=10, warmup_rounds=2)
