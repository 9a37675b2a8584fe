from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crossmargin.market.calendars import add_business_days, is_business_day
from crossmargin.market.draws import Draws
from crossmargin.sample import AS_OF
from crossmargin.sample.book import (
    FIRM,
    OTHER_FIRM,
    STYLES,
    Accounts,
    Legs,
    make_accounts,
    make_legs,
    make_positions,
)
from crossmargin.sample.market import make_history
from crossmargin.sample.securities import make_securities
from crossmargin.sample.tradable import Tradable, make_tradable

COUNT = 3000
HISTORY = make_history(2026, AS_OF)


@pytest.fixture(scope="module")
def tradable() -> Tradable:
    return make_tradable(make_securities(2026, HISTORY), HISTORY)


@pytest.fixture(scope="module")
def accounts() -> Accounts:
    return make_accounts(Draws(2026, "accounts"), COUNT)


@pytest.fixture(scope="module")
def legs(accounts: Accounts, tradable: Tradable) -> Legs:
    return make_legs(Draws(2026, "legs"), accounts, tradable)


@pytest.fixture(scope="module")
def positions(accounts: Accounts, legs: Legs, tradable: Tradable) -> pd.DataFrame:
    draws = Draws(2026, "positions")
    return make_positions(draws, accounts, legs, tradable, HISTORY).to_pandas()


def risk(accounts: Accounts, legs: Legs, tradable: Tradable) -> tuple[np.ndarray, np.ndarray]:
    """Gross and net USD a basis point of each account."""
    lots = legs.quantity / np.where(legs.instrument < tradable.bonds, 100.0, 1.0)
    dv01 = lots * tradable.dv01[legs.instrument]
    size = accounts.name.size
    gross = np.bincount(legs.account, np.abs(dv01), size)
    return gross, np.bincount(legs.account, dv01, size)


def test_accounts_have_the_shares_of_their_styles(accounts: Accounts) -> None:
    customers = accounts.style[~accounts.house]
    for number, style in enumerate(STYLES.values()):
        # Four standard errors.
        error = 4.0 * np.sqrt(style.share * (1.0 - style.share) / customers.size)
        assert abs((customers == number).mean() - style.share) <= error


def test_accounts_have_roles_and_separate_accounts(accounts: Accounts) -> None:
    assert accounts.house.sum() == 2 + COUNT // 600
    assert set(accounts.role[accounts.house]) == {"netting_member"}
    assert accounts.opted_in[accounts.house].all()
    customer = ~accounts.house
    assert 0.04 < 1.0 - accounts.opted_in[customer].mean() < 0.10
    assert 0.015 < (accounts.role[customer] == "none").mean() < 0.05
    held = pd.Series(accounts.customer).value_counts()
    assert 0.05 < (held > 1).mean() < 0.11
    assert held.max() <= 6
    # What a customer agreed to holds for all its accounts; floors are of the account.
    frame = pd.DataFrame({"customer": accounts.customer, "in": accounts.opted_in})
    frame["role"], frame["times"] = accounts.role, accounts.multiplier
    assert (frame.groupby("customer").nunique() == 1).all(axis=None)
    assert (accounts.multiplier[customer] > 1.0).any()
    assert (accounts.floor > 0.0).any()
    assert (accounts.minimum > 0.0).any()


def test_account_names_keep_their_zeros(accounts: Accounts) -> None:
    table = accounts.table()
    assert table["account"][0].as_py() == "H00001"
    assert table["account"][7].as_py() == "000008"
    assert set(table["clearing_firm"].to_pylist()) == {FIRM}
    assert all(c.startswith("Synthetic ") for c in table["customer"].to_pylist())


def test_book_is_skewed(accounts: Accounts, legs: Legs, tradable: Tradable) -> None:
    gross, _ = risk(accounts, legs, tradable)
    customers = np.sort(gross[~accounts.house])
    assert (customers == 0.0).mean() > 0.005
    assert customers.mean() > 2.5 * np.median(customers)
    assert customers[-30:].sum() > 0.2 * customers.sum()
    assert 0.0 < customers[customers > 0.0][10] < 50.0
    assert customers[-1] > 1_000_000.0
    rows = np.bincount(legs.account, minlength=COUNT)
    assert np.median(rows) < rows.mean() < 40.0
    assert rows[accounts.house].mean() > 5.0 * rows.mean()


def test_basis_funds_are_hedged_and_financed_longs_are_not(
    accounts: Accounts, legs: Legs, tradable: Tradable
) -> None:
    gross, net = risk(accounts, legs, tradable)
    names = list(STYLES)
    ratio = np.abs(net) / np.maximum(gross, 1e-9)
    # Second legs offset 75 to 110 percent, so the rest is at most a quarter, or rounding.
    basis = (accounts.style == names.index("basis fund")) & (gross > 1_000.0)
    assert np.median(ratio[basis]) < 0.15
    cash = (accounts.style == names.index("repo-financed")) & (gross > 1_000.0)
    assert np.median(ratio[cash]) > 0.5
    future = legs.instrument >= tradable.bonds
    assert not future[np.isin(legs.account, np.flatnonzero(cash))].any()
    only = accounts.style[legs.account] == names.index("futures only")
    assert future[only].all()


def test_quantities_are_whole(legs: Legs, tradable: Tradable) -> None:
    bond = legs.instrument < tradable.bonds
    assert (legs.quantity != 0.0).all()
    assert (legs.quantity[bond] % 1_000.0 == 0.0).all()
    assert (legs.quantity[~bond] % 1.0 == 0.0).all()


def test_positions_are_of_all_kinds(positions: pd.DataFrame) -> None:
    share = positions["kind"].value_counts(normalize=True)
    assert set(share.index) == {"cash", "repo", "reverse", "future"}
    assert 0.40 < share["future"] < 0.60
    assert 0.03 < share["cash"] < 0.08
    assert share["repo"] > 2.0 * share["reverse"]
    assert 0.70 < positions["xm"].mean() < 0.85
    roots = positions.loc[positions["kind"] == "future", "instrument"].str[:-3]
    expected = {"ZT", "Z3N", "ZF", "ZN", "TN", "TWE", "ZB", "UB", "SR3", "SR1", "ZQ"}
    assert set(roots) == expected
    away = positions["clearing_firm"].notna()
    assert 0.001 < away.mean() < 0.01
    assert set(positions.loc[away, "clearing_firm"]) == {OTHER_FIRM}


def test_repo_and_cash_are_open(positions: pd.DataFrame) -> None:
    repo = positions[positions["kind"].isin(["repo", "reverse"])]
    start = repo["start_date"].to_numpy("datetime64[D]")
    end = repo["end_date"].to_numpy("datetime64[D]")
    assert (repo["quantity"] > 0.0).all()
    assert (start < end).all()
    assert (end > AS_OF).all()
    assert is_business_day(start, "bond").all()
    assert is_business_day(end, "bond").all()
    assert 0.01 < (start > AS_OF).mean() < 0.06
    assert 0.2 < (end == add_business_days(AS_OF, 1, "bond")).mean() < 0.5
    assert repo["repo_rate"].between(2.0, 6.0).all()
    assert 0.90 < repo["start_cash"].notna().mean() < 0.97
    given = repo.dropna(subset="start_cash")
    assert (given["start_cash"] / given["quantity"]).between(0.4, 1.4).all()
    cash = positions[positions["kind"] == "cash"]
    assert (cash["settle_date"].to_numpy("datetime64[D]") == np.datetime64("2026-06-11")).all()
    assert (cash["quantity"] < 0.0).any()


def test_cells_that_do_not_apply_are_null(positions: pd.DataFrame) -> None:
    future = positions[positions["kind"] == "future"]
    for column in ("settle_date", "start_date", "end_date", "repo_rate", "start_cash", "failed"):
        assert future[column].isna().all()


def test_few_rows_that_may_not_be_cross_margined_are_booked_there(
    accounts: Accounts, legs: Legs, tradable: Tradable, positions: pd.DataFrame
) -> None:
    bond = np.where(legs.instrument < tradable.bonds, legs.instrument, 0)
    short = (legs.instrument < tradable.bonds) & ~tradable.eligible[bond]
    barred = ~(accounts.opted_in & (accounts.role != "none"))[legs.account]
    wrong = (short | barred) & positions["xm"].to_numpy()
    assert 0.0 < wrong.mean() < 0.005
    assert (wrong & short).any()
    assert (wrong & barred).any()
