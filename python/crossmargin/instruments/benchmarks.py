"""The latest note or bond of each tenor, and the front contract of each future."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from crossmargin.instruments.baskets import parse_resold
from crossmargin.instruments.contracts import (
    Contract,
    delivery_months,
    first_month,
    reference_period,
    was_listed,
)
from crossmargin.instruments.securities import Securities
from crossmargin.market.calendars import MONTH
from crossmargin.market.curve import years_between

TENORS = (2, 3, 5, 7, 10, 20, 30)
"""Original terms of nominal notes and bonds that the Treasury sells, years."""
_WITHIN = 0.125
"""Years by which a term may differ: issue moves to the next business day, maturity does not."""


def benchmarks(securities: Securities, as_of: np.datetime64) -> dict[int, int]:
    """Return the most recent note or bond of each tenor.

    Parameters
    ----------
    securities : Securities
    as_of : datetime64[D]
        Securities issued later do not count; nor do those that have matured.

    Returns
    -------
    dict of int to int
        From the tenor in years to the number of the security, without tenors of which there is
        none. A later sale of a security as a new issue counts as an issue.
    """
    found: dict[int, tuple[np.datetime64, np.datetime64, int]] = {}
    known = securities.nominal & (securities.maturity_date > as_of)
    term = years_between(securities.issue_date, securities.maturity_date)
    for number in np.flatnonzero(known).tolist():
        matures = securities.maturity_date[number]
        issues = [(securities.issue_date[number], float(term[number]))]
        issues += [
            (np.datetime64(sold), float(years))
            for sold, years in parse_resold(securities.resold_as[number] or "")
        ]
        for issued, years in issues:
            tenor = min(TENORS, key=lambda tenor: abs(tenor - years))
            if issued > as_of or abs(tenor - years) > _WITHIN:
                continue
            candidate = (issued, matures, number)
            found[tenor] = max(found.get(tenor, candidate), candidate)
    return {tenor: found[tenor][2] for tenor in TENORS if tenor in found}


def front_contracts(names: Sequence[str], as_of: np.datetime64) -> list[Contract]:
    """Return the front contract of each root.

    Parameters
    ----------
    names : sequence of str
        Roots.
    as_of : datetime64[D]

    Returns
    -------
    list of Contract
        The nearest contract that is listed and whose delivery month, or the period whose rates
        settle it, begins after this day. A root without any is left out.
    """
    return [front for root in names if (front := _front(root, as_of)) is not None]


def _front(root: str, as_of: np.datetime64) -> Contract | None:
    months = delivery_months(root)
    month = max(as_of.astype("datetime64[M]"), first_month(root))
    # A year holds every month of a root.
    for ahead in range(13):
        number = int((month + ahead * MONTH).astype(np.int64)) % 12 + 1
        if number in months:
            contract = Contract(root, month + ahead * MONTH)
            if _begins(contract) > as_of:
                return contract if was_listed(contract, as_of) else None
    return None


def _begins(contract: Contract) -> np.datetime64:
    """Return the first day of the delivery month or of the reference period."""
    if contract.rule.kind == "treasury":
        return cast(np.datetime64, contract.month.astype("datetime64[D]"))
    return reference_period(contract)[0]
