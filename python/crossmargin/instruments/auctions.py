"""Which notes and bonds the Treasury has sold and will sell, by its calendar of auctions.

The rules are data, dated and sourced, in auctions.toml beside this module. They say which issues a
delivery basket should hold, and which will still enter it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from crossmargin.arrays import Dates, Integer, Mask
from crossmargin.instruments.baskets import deliverable, parse_resold
from crossmargin.instruments.benchmarks import TENORS
from crossmargin.instruments.contracts import Contract, last_delivery_day
from crossmargin.instruments.schedule import add_months, last_of_month
from crossmargin.instruments.securities import Securities
from crossmargin.market.calendars import MONTH, add_business_days
from crossmargin.market.curve import years_between

LAST_MONTH = np.datetime64("2099-12", "M")
"""Later months are not covered by the calendar of business days."""
WITHIN = 0.3
"""Years by which an issue may differ from its term: a few bonds have a quarter more or less."""


@dataclass(frozen=True)
class Issues:
    """Original issues by the calendar, by date of issue and then by term.

    Attributes
    ----------
    term : ndarray of int64, [N]
        Original term, years.
    issue_date, maturity_date : ndarray of datetime64[D], [N]
    """

    term: Integer
    issue_date: Dates
    maturity_date: Dates

    def take(self, chosen: Integer | Mask) -> Issues:
        """Return some of the issues."""
        return Issues(self.term[chosen], self.issue_date[chosen], self.maturity_date[chosen])

    @property
    def names(self) -> list[str]:
        """Term and date of issue of each, such as `7-Year 2024-12-31`, [N]."""
        return [
            f"{term}-Year {issued}" for term, issued in zip(self.term, self.issue_date, strict=True)
        ]

    @property
    def key(self) -> Integer:
        """A number for each term and maturity date, [N]."""
        return _key(self.term, self.maturity_date)


def _data() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("auctions.toml").read_text("utf-8"))


@cache
def complete_from() -> np.datetime64:
    """Return the first as-of date on which the calendar has every deliverable issue."""
    return np.datetime64(_data()["complete_from"], "D")


@cache
def all_issues() -> Issues:
    """Return every issue of the calendar, those to come included."""
    data = _data()
    parts = [_regular(rule) for rule in data["regular"]]
    for rule in data["single"]:
        month, maturity = np.array(rule["issues"]).T
        parts.append(
            Issues(
                np.full(month.size, rule["term"]),
                _issued(month.astype("datetime64[M]"), rule["issued"]),
                maturity.astype("datetime64[D]"),
            )
        )
    term, issue, maturity = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("term", "issue_date", "maturity_date")
    )
    return Issues(term, issue, maturity).take(np.lexsort((term, issue)))


def _regular(rule: dict[str, Any]) -> Issues:
    """Return the issues of one rule."""
    last = np.datetime64(rule["until"], "M") if "until" in rule else LAST_MONTH
    month = np.arange(np.datetime64(rule["from"], "M"), last + MONTH)
    if "months" in rule:
        month = month[np.isin(month.astype(np.int64) % 12 + 1, rule["months"])]
    due = add_months(_middle(month), 12 * rule["term"])
    maturity = last_of_month(due) if rule["matures"] == "end" else due
    return Issues(np.full(month.size, rule["term"]), _issued(month, rule["issued"]), maturity)


def _issued(month: Dates, day: str) -> Dates:
    """Return the dates of issue: the end or the middle of each month, or the business day after."""
    return add_business_days(last_of_month(month) if day == "end" else _middle(month), 0, "bond")


def _middle(month: Dates) -> Dates:
    return np.asarray(month.astype("datetime64[D]") + np.timedelta64(14, "D"))


@lru_cache(maxsize=1024)
def issues_into(contract: Contract) -> Issues:
    """Return every issue of the calendar that can be delivered into a Treasury future in the end.

    Parameters
    ----------
    contract : Contract
        A Treasury future.

    Returns
    -------
    Issues
        Those that `deliverable` admits on the last delivery day, by date of issue.
    """
    last = last_delivery_day(contract)
    issues = all_issues()
    issues = issues.take(np.arange(np.searchsorted(issues.issue_date, last, side="right")))
    into = deliverable(
        contract, issue_date=issues.issue_date, maturity_date=issues.maturity_date, as_of=last
    )
    return issues.take(into)


def issue_keys(securities: Securities, last: np.datetime64) -> Integer:
    """Return the term and maturity of each issue that some nominal securities are, as numbers.

    Parameters
    ----------
    securities : Securities
        [N].
    last : datetime64[D]
        Issues and sales of later dates are left out.

    Returns
    -------
    ndarray of int64
        As `Issues.key`: one for each security whose original term is one that the Treasury sells,
        and one for each later sale as a new issue.
    """
    years = years_between(securities.issue_date, securities.maturity_date)
    terms = np.array(TENORS)
    nearest = np.abs(years[:, None] - terms).argmin(axis=1)
    close = (np.abs(years - terms[nearest]) <= WITHIN) & (securities.issue_date <= last)
    keys = _key(terms[nearest][close], securities.maturity_date[close])
    again = np.flatnonzero(securities.resold_as != "").tolist()
    sales = [
        _key(np.array([term]), securities.maturity_date[[number]])
        for number in again
        for sold, term in parse_resold(securities.resold_as[number] or "")
        if np.datetime64(sold) <= last
    ]
    return np.concatenate([keys, *sales])


def _key(term: Integer, maturity: Dates) -> Integer:
    return np.asarray(maturity.astype("datetime64[D]").astype(np.int64) * 100 + term)
