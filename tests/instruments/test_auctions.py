"""The Treasury's calendar of auctions, by hand, against real issues and published baskets."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.instruments.auctions import (
    all_issues,
    complete_from,
    issue_keys,
    issues_into,
)
from crossmargin.instruments.baskets import deliverable
from crossmargin.instruments.contracts import Contract, contract_rule, roots
from crossmargin.instruments.securities import Securities

AS_OF = np.datetime64("2025-03-13")
QUARTERS = np.arange("2010-03", "2060-01", 3, dtype="datetime64[M]").tolist()
TWO_YEARS_MISSING = [
    *("2023-10-02", "2023-10-31", "2023-11-30", "2024-01-02", "2024-01-31", "2024-02-29"),
    *("2024-04-01", "2024-04-30", "2024-05-31", "2024-07-01", "2024-07-31", "2024-09-03"),
    *("2024-09-30", "2024-10-31"),
]


def issued(term: int) -> list[tuple[str, str]]:
    """Return date of issue and maturity of each issue of a term."""
    issues = all_issues()
    own = issues.take(issues.term == term)
    return [(str(a), str(b)) for a, b in zip(own.issue_date, own.maturity_date, strict=True)]


@pytest.mark.parametrize(
    ("term", "issue", "maturity"),
    [
        # 28 February 2009 was a Saturday; maturities are not moved, and 2016 is a leap year.
        (7, "2009-03-02", "2016-02-29"),
        # 31 August 2024 was a Saturday, and Monday was Labor Day.
        (2, "2024-09-03", "2026-08-31"),
        (20, "2024-09-03", "2044-08-15"),
        (20, "2020-06-01", "2040-05-15"),
        # 15 February 2025 was a Saturday, and Monday a holiday.
        (3, "2025-02-18", "2028-02-15"),
        (10, "2025-02-18", "2035-02-15"),
        (30, "2025-02-18", "2055-02-15"),
        (5, "2025-02-28", "2030-02-28"),
        # Sold in February with the maturity of May.
        (30, "2000-02-15", "2030-05-15"),
    ],
)
def test_issues_by_hand(term: int, issue: str, maturity: str) -> None:
    assert (issue, maturity) in issued(term)


def test_what_was_not_sold() -> None:
    assert issued(3)[0] == ("2008-11-17", "2011-11-15")
    assert issued(7)[0][0] == "2009-03-02"
    assert issued(20)[0][0] == "2020-06-01"
    thirty = [issue for issue, _ in issued(30)]
    assert [day for day in thirty if "2001-02-16" <= day < "2006-02-15"] == []
    assert [day[5:7] for day, _ in issued(10)[:8]] == ["02", "05", "08", "11"] * 2


def test_every_real_issue_is_in_the_calendar(real_securities: Securities) -> None:
    # To the day of issue, and without any that deviates.
    issues = all_issues()
    ours = set(zip(issues.key.tolist(), issues.issue_date.astype(np.int64).tolist(), strict=True))
    far = np.datetime64("2100-01-01")
    for row in range(real_securities.cusip.size):
        one = real_securities.take(np.array([row]))
        key = int(issue_keys(one, far)[0])
        assert (key, int(one.issue_date[0].astype(np.int64))) in ours, one.cusip[0]
    again = [text[:10] for text in real_securities.resold_as if text]
    assert len(again) == 4
    assert set(again) <= {issue for issue, _ in issued(5)}


def test_what_the_real_table_lacks(real_securities: Securities) -> None:
    issues = all_issues()
    alive = issues.take((issues.issue_date <= AS_OF) & (issues.maturity_date > AS_OF))
    lacks = alive.take(~np.isin(alive.key, issue_keys(real_securities, AS_OF)))
    assert sorted(lacks.names) == sorted(
        [f"2-Year {day}" for day in TWO_YEARS_MISSING] + ["3-Year 2023-10-16", "3-Year 2023-11-15"]
    )
    # 329 securities, two of which were sold a second time, and those 16.
    assert alive.term.size == 329 + 2 + 16


def test_every_published_basket_is_expected(real_data: Callable[[str], Path]) -> None:
    published = defaultdict(list)
    with real_data("conversion_factors.csv").open() as file:
        for row in csv.DictReader(file):
            published[row["product"], row["delivery_month"]].append(row["maturity_date"])
    assert len(published) == 15
    for (root, month), maturities in published.items():
        issues = issues_into(Contract(root, np.datetime64(month)))
        known = issues.take(issues.issue_date <= AS_OF)
        assert sorted(map(str, known.maturity_date)) == sorted(maturities), (root, month)


def test_the_ten_year_basket_of_june_2025() -> None:
    issues = issues_into(Contract("ZN", np.datetime64("2025-06")))
    assert issues.names == [
        "10-Year 2022-02-15",
        "10-Year 2022-05-16",
        "10-Year 2022-08-15",
        "10-Year 2022-11-15",
        "10-Year 2023-02-15",
        "10-Year 2023-05-15",
        "7-Year 2024-12-31",
        "7-Year 2025-01-31",
        "7-Year 2025-02-28",
        "7-Year 2025-03-31",
        "7-Year 2025-04-30",
        "7-Year 2025-06-02",
        "7-Year 2025-06-30",
    ]


def test_keys_tell_terms_apart_and_know_later_sales(
    make_securities: Callable[..., Securities],
) -> None:
    securities = make_securities(
        {
            "issue_date": "2023-02-28",
            "maturity_date": "2030-02-28",
            "resold_as": "2025-02-28:5-Year",
        },
        # A quarter more than thirty years; a term that is not sold; an issue to come.
        {"issue_date": "2000-02-15", "maturity_date": "2030-05-15"},
        {"issue_date": "2020-02-15", "maturity_date": "2024-02-15"},
        {"issue_date": "2025-03-31", "maturity_date": "2030-03-31"},
    )
    issues = all_issues()
    found = issues.take(np.isin(issues.key, issue_keys(securities, AS_OF)))
    assert found.names == ["30-Year 2000-02-15", "7-Year 2023-02-28", "5-Year 2025-02-28"]
    early = issue_keys(securities, np.datetime64("2025-02-27"))
    assert "5-Year 2025-02-28" not in issues.take(np.isin(issues.key, early)).names


@given(st.sampled_from(roots("treasury")), st.sampled_from(QUARTERS), st.integers(0, 400))
def test_a_table_of_all_issues_gives_what_is_expected(root: str, month, days: int) -> None:
    month = np.datetime64(month, "M")
    try:
        contract_rule(root, month)
    except ValueError:
        return
    contract = Contract(root, month)
    as_of = month.astype("datetime64[D]") - np.timedelta64(days, "D")
    issues, into = all_issues(), issues_into(contract)
    issues = issues.take(issues.issue_date <= as_of)
    mask = deliverable(
        contract, issue_date=issues.issue_date, maturity_date=issues.maturity_date, as_of=as_of
    )
    known = into.take(into.issue_date <= as_of)
    assert issues.take(mask).names == known.names
    assert np.unique(into.key).size == into.key.size
    if root != "TWE" and as_of >= complete_from():
        # The nearest contracts always have something to deliver.
        assert days > 90 or known.term.size > 0
