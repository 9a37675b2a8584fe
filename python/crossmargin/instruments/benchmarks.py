"""The latest note or bond of each tenor, and the front contract of each future."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossmargin.instruments.baskets import parse_resold
from crossmargin.instruments.contracts import (
    Contract,
    delivery_months,
    first_month,
    last_listed,
    last_trading_day,
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
        The nearest contract that trades after this day; of a Treasury future, the nearest whose
        delivery month has not begun. A root without any is left out.
    """
    return [front for root in names if (front := _front(root, as_of)) is not None]


def _front(root: str, as_of: np.datetime64) -> Contract | None:
    this_month = as_of.astype("datetime64[M]")
    last = [last_listed(root, number, as_of) for number in delivery_months(root)]
    until = max((month for month in last if month is not None), default=this_month - MONTH)
    # The reference quarter of a contract may have begun up to three months ago.
    month = max(this_month - 3 * MONTH, first_month(root))
    while month <= until:
        if int(month.astype(np.int64)) % 12 + 1 in delivery_months(root):
            contract = Contract(root, month)
            treasury = contract.rule.kind == "treasury"
            if month > this_month if treasury else last_trading_day(contract) > as_of:
                return contract
        month += MONTH
    return None
