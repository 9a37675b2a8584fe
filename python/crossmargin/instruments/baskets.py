"""Which securities can be delivered into a Treasury future, by the contract's rules.

A security is deliverable if it is a nominal note or bond, is issued in time, and has an original
and a remaining term that the contract allows. When an old security is sold again as a new, shorter
issue, that sale counts as an issue too (a seven-year note sold again as a five-year note).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Dates
from crossmargin.instruments.contracts import Contract, last_delivery_day
from crossmargin.instruments.schedule import add_months, as_dates, last_of_month

ANNOUNCED_DAYS = 7
"""A security is known from this many days before its issue date."""

DELIVERABLE_KINDS = ("note", "bond")


def parse_resold(text: str) -> list[tuple[datetime.date, int]]:
    """Return the later sales of a security as a new issue.

    Parameters
    ----------
    text : str
        Issue dates and terms, sales separated by semicolons: "2022-01-31:5-Year;...". May be empty.

    Returns
    -------
    list of (date, int)
        Issue date of the sale, and its original term in years.

    Raises
    ------
    ValueError
        A part does not have this form.
    """
    sales = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        match = re.fullmatch(r"(\d{4}-\d{2}-\d{2}):(\d{1,2})-Year", part)
        try:
            if match is None:
                raise ValueError("no match")
            sales.append((datetime.date.fromisoformat(match[1]), int(match[2])))
        except ValueError:
            raise ValueError(
                f"resold_as {part!r} is unreadable; expected a date and a term such as "
                "2022-01-31:5-Year"
            ) from None
    return sales


def _issued_in_time(contract: Contract, issue: Dates, as_of: Dates) -> npt.NDArray[np.bool_]:
    """Return a mask of the issues known by `as_of` and issued by the last delivery day."""
    known = issue <= as_of + np.timedelta64(ANNOUNCED_DAYS, "D")
    return np.asarray(known & (issue <= last_delivery_day(contract)))


def _term_end(issue: Dates, months: int) -> Dates:
    """Return the date `months` after each issue; a month's end moves to a month's end."""
    end = add_months(issue, months)
    return np.where(issue == last_of_month(issue), last_of_month(end), end)


def deliverable(
    contract: Contract,
    *,
    issue_date: npt.ArrayLike,
    maturity_date: npt.ArrayLike,
    as_of: npt.ArrayLike,
    resold_as: Sequence[str | None] | npt.NDArray[np.object_] | None = None,
    kind: Sequence[str | None] | npt.NDArray[np.object_] | None = None,
) -> npt.NDArray[np.bool_]:
    """Return a mask of the securities that can be delivered into a Treasury future.

    Parameters
    ----------
    contract : Contract
        A Treasury future.
    issue_date, maturity_date : array_like of datetime64[D], shape (N,)
        Original issue and maturity of each security.
    as_of : date_like
        Issues dated up to seven days later are known.
    resold_as : sequence of str or None, length N, optional
        Later sales as a new issue; see `parse_resold`.
    kind : sequence of str or None, length N, optional
        note, bond, tips, frn, bill, strip or mbs. None means a note or bond.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    ValueError
        The contract is not a Treasury future, or a sale is unreadable.

    Notes
    -----
    CBOT rulebook chapters 18 to 21, 25, 26, 39 and 40; the numbers are in contracts.toml. Lower
    bounds of the remaining term count from the first day of the delivery month.
    """
    issue, maturity = as_dates(issue_date, "issue_date"), as_dates(maturity_date, "maturity_date")
    date = as_dates(as_of, "as_of")
    rule = contract.rule
    allowed = _issued_in_time(contract, issue, date)
    longest = rule.original_max_months
    if longest is not None:
        allowed &= maturity <= _term_end(issue, longest)
        for row, text in enumerate(resold_as if resold_as is not None else ()):
            for sold, years in parse_resold(text) if text else ():
                in_time = _issued_in_time(contract, as_dates(sold, "resold_as"), date)
                allowed[row] |= bool(in_time) and 12 * years <= longest
    first_day = as_dates(contract.month, "month")
    allowed &= maturity >= add_months(first_day, rule.remaining_min_months)
    if rule.remaining_max_months is not None:
        start = first_day if rule.remaining_max_from == "first" else last_of_month(first_day)
        limit = _term_end(start, rule.remaining_max_months)
        allowed &= (maturity <= limit) if rule.remaining_max_inclusive else (maturity < limit)
    if kind is not None:
        allowed &= np.array([k is None or k in DELIVERABLE_KINDS for k in kind], np.bool_)
    return allowed
