"""The table of the delivery baskets as Arrow columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.instruments.basket_checks import BasketCheck
from crossmargin.instruments.contracts import last_delivery_day
from crossmargin.results.schema import DATE, FLAG, NUMBER, TEXT, WHOLE
from crossmargin.results.schemas.baskets import BASKETS

MOST = 6
"""Issues or securities that a cell or a message lists."""


def listed(names: Sequence[str]) -> str:
    """Return the first few of some names as text."""
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more


def basket_table(checks: Sequence[BasketCheck], spread_bp: float | None) -> pa.Table:
    """Return the baskets table, a row per Treasury future.

    Parameters
    ----------
    checks : sequence of BasketCheck
    spread_bp : float, optional
        Basis points from the median beyond which a security is an outlier; None if the policy has
        no such threshold.

    Returns
    -------
    pyarrow.Table
        Unrounded; null where unknown.
    """
    rows = [
        {**_contract(check), **_issues(check), **_members(check), **_spreads(check, spread_bp)}
        for check in checks
    ]
    return BASKETS.table(
        {
            column.name: _column([row[column.name] for row in rows], column.type)
            for column in BASKETS.columns
        }
    )


def _column(cells: list[Any], kind: pa.DataType) -> pa.Array:
    """Return cells as a column, None as null."""
    if kind == TEXT:
        return columns.text_column(cells)
    known = np.array([cell is not None for cell in cells], dtype=np.bool_)
    blank, dtype = _BLANK[kind]
    return columns.column(np.array([blank if c is None else c for c in cells], dtype), known)


_BLANK: dict[pa.DataType, tuple[Any, str]] = {
    NUMBER: (0.0, "f8"),
    WHOLE: (0, "i8"),
    FLAG: (False, "?"),
    DATE: (np.datetime64("NaT"), "M8[D]"),
}
"""By type of column: what stands where a cell is null, and NumPy's type."""


def _contract(check: BasketCheck) -> dict[str, Any]:
    contract = check.contract
    return {
        "contract": contract.symbol,
        "root": contract.root,
        "delivery_month": str(contract.month),
        "last_delivery_day": last_delivery_day(contract),
        "later_month": check.later_month,
    }


def _issues(check: BasketCheck) -> dict[str, Any]:
    """Return what the calendar of auctions says of a basket."""
    if check.calendar is None:
        names = ("expected", "missing", "missing_issues", "to_come")
        return dict.fromkeys((*names, "next_issue_term", "next_issue_date"))
    later, lacks = check.calendar.later, check.calendar.missing.names
    following = later.term.size > 0
    return {
        "expected": check.calendar.expected.term.size,
        "missing": len(lacks),
        "missing_issues": listed(lacks) if lacks else None,
        "to_come": later.term.size,
        "next_issue_term": int(later.term[0]) if following else None,
        "next_issue_date": later.issue_date[0] if following else None,
    }


def _members(check: BasketCheck) -> dict[str, Any]:
    """Return what is deliverable, and the two cheapest of it."""
    members, size = check.members, check.value.size
    first, second = (*check.ranked.tolist(), None, None)[:2]
    gap = check.gap
    return {
        "deliverable": size,
        "market_priced": int(np.count_nonzero(check.priced)),
        "without_price": listed(members.cusip[~check.priced].tolist()) if check.mixed else None,
        "cheapest": None if first is None else members.cusip[first],
        "cheapest_maturity": None if first is None else members.maturity_date[first],
        "cheapest_factor": None if first is None else float(check.factor[first]),
        "cheapest_price": None if first is None else float(check.value[first]),
        "runner_up": None if second is None else members.cusip[second],
        "runner_up_gap": gap,
        "runner_up_gap_usd": None if gap is None else gap * check.contract.rule.usd_per_point,
        "shared_with": ", ".join(check.shared) or None,
    }


def _spreads(check: BasketCheck, spread_bp: float | None) -> dict[str, Any]:
    """Return how far the market prices of a basket are from each other, by z-spread."""
    away = np.abs(check.from_median)
    known = bool((~np.isnan(away)).any())
    furthest = int(np.nanargmax(away)) if known else -1
    outliers = None
    if known and spread_bp is not None:
        outliers = int(np.count_nonzero(away > spread_bp))
    return {
        "furthest": check.members.cusip[furthest] if known else None,
        "furthest_bp": float(check.from_median[furthest]) if known else None,
        "outliers": outliers,
    }
