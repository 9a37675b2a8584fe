from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crossmargin
from crossmargin.exceptions import CODES
from crossmargin.sample import sample_market, sample_tables

ACCOUNTS = 1500
# What takes a file the sample does not have: firms, cubes, a policy of one's own, odd headers.
NOT_IN_A_SAMPLE = {
    # Those of what-ifs, which a book has none of.
    "MOVE_IMPOSSIBLE",
    "QUESTION_INCOMPLETE",
    # Those of a day.
    "ARRIVAL_AMBIGUOUS",
    "ARRIVAL_CONTRADICTS",
    "ARRIVAL_NOT_PLAYED",
    "ARRIVAL_OLD",
    "ARRIVAL_OTHER_DAY",
    "ARRIVAL_REPEATED",
    "ARRIVAL_UNKNOWN",
    "ARRIVAL_UNREADABLE",
    "CYCLE_MISSED",
    "CYCLE_NOT_PLAYED",
    "STEP_CHANGED",
    "TRANSFER_NOT_BOOKED",
    "ACCOUNT_IN_OMNIBUS",
    # Those of omnibus accounts, of which the sample has none.
    "IN_OMNIBUS",
    "OMNIBUS_INVALID",
    "ABOVE_OUTSTANDING",
    "BASKET_MIXED",
    "BASKET_OUTLIER",
    "BASKET_THIN",
    "COLUMN_NAME_NEAR",
    "COLUMNS_NOT_READ",
    "CONTRACT_INELIGIBLE",
    "CCP_UNKNOWN",
    "CURVE_EARLIER",
    "FILE_REPEATED",
    "POSITIONS_OF_OTHER_DAY",
    "FIXINGS_MISSING",
    "INPUT_REPEATED",
    "BASIS_ASSUMED",
    "INPUT_NOT_USED",
    "OBSERVED_NOT_USED",
    "OBSERVED_STALE",
    "TYPE_ASSUMED",
    "FIRM_INVALID",
    "FIRM_NOT_COMMON_MEMBER",
    "NOT_IN_CUBE",
    "MARGIN_PROXY",
    "NAME_RESOLVED",
    "NO_BASKET",
    "NO_PRICE",
    "NO_SCAN_RANGE",
    "RATE_SUSPICIOUS",
    "SPREADS_FEW",
    "READ_AS",
    "STRESS_CUT",
}


@pytest.fixture(scope="module")
def run(sample_book: Callable[..., dict[str, Any]]) -> crossmargin.RunResult:
    return crossmargin.run(**sample_book(ACCOUNTS), market=sample_market(), threads=1)


@pytest.fixture(scope="module")
def exceptions(run: crossmargin.RunResult) -> pd.DataFrame:
    return run.exceptions.to_pandas()


def test_every_kind_of_exception_is_there(exceptions: pd.DataFrame) -> None:
    assert set(exceptions["code"]) == set(CODES) - NOT_IN_A_SAMPLE


def test_bad_rows_are_few(run: crossmargin.RunResult, exceptions: pd.DataFrame) -> None:
    rejected = exceptions[exceptions["severity"] == "rejected"]
    rows = len(sample_tables(accounts=ACCOUNTS)["positions"])
    assert 10 < (rejected["file"] == "positions").sum() < 0.002 * rows
    assert (exceptions["severity"] == "reassigned").sum() < 0.01 * rows


def test_few_accounts_are_left_incomplete(run: crossmargin.RunResult) -> None:
    status = run.accounts.to_pandas()["status"].value_counts(normalize=True)
    assert 0.0 < status["incomplete"] < 0.02
    assert 0.05 < status["not_eligible"] < 0.15


def test_savings_are_spread_like_those_of_a_real_book(run: crossmargin.RunResult) -> None:
    accounts = run.accounts.to_pandas()
    share = accounts["reason"].value_counts() / len(accounts)
    assert 0.2 < share["ONE_SIDED"] < 0.5
    assert {"NOT_ELIGIBLE", "NO_SAVING", "INCOMPLETE"} <= set(share.index)
    # Basis trades are capped; curve trades save less; either house can bind.
    assert 0.1 < accounts["capped"].mean() < 0.35
    p = accounts["offset_rate"].to_numpy(float)
    assert ((p > 0.0) & (p < 0.8)).mean() > 0.15
    assert set(accounts["binding"].dropna()) == {"FICC", "CME"}
    assert (accounts["saving"].dropna().astype(float) < 0.0).any()


def test_a_larger_book_has_more_bad_rows() -> None:
    small, large = (sample_tables(accounts=n)["positions"] for n in (100, 10_000))
    unknown = [(np.asarray(t["account"]) == "999999").sum() for t in (small, large)]
    assert unknown == [1, 3]


def test_accounts_and_securities_have_bad_rows_too() -> None:
    tables = {name: table.to_pandas() for name, table in sample_tables(accounts=20).items()}
    accounts, securities = tables["accounts"], tables["securities"]
    assert len(accounts) == 20 + 3
    assert (accounts["origin"] == "broker").sum() == 1
    assert accounts["account"].duplicated().sum() == 1
    assert (securities["coupon_pct"] > 30.0).sum() == 1
    assert securities["cusip"].duplicated().sum() == 1


def test_rows_stay_grouped_by_account() -> None:
    account = sample_tables(accounts=200)["positions"].to_pandas()["account"]
    assert account.is_monotonic_increasing
