"""What can be delivered into a Treasury future, by rule.

A security counts if it is a nominal note or bond that is issued in time and whose original and
remaining terms the contract allows. A later sale of an old security as a new, shorter issue counts
as an issue of its own (a seven-year note sold again as a five-year one).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin.arrays import Dates
from crossmargin.instruments.contracts import Contract, last_delivery_day
from crossmargin.instruments.conversion import conversion_factors
from crossmargin.instruments.schedule import add_months, as_dates, last_of_month
from crossmargin.market.rates import check_coupons

ANNOUNCED_DAYS = 7
"""A security counts from this many days before its issue date on."""

DELIVERABLE_KINDS = ("note", "bond")


def parse_resold(text: str) -> list[tuple[datetime.date, int]]:
    """Return the later sales of a security as a new original issue.

    Parameters
    ----------
    text : str
        Issue date and term, separated by semicolons: "2022-01-31:5-Year;...". May be empty.

    Returns
    -------
    list of (date, int)
        Issue date of the sale, and its original term in years.

    Raises
    ------
    ValueError
        A part does not read so.
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
    """Return whether each issue is known by `as_of` and delivered by the end of delivery."""
    known = issue <= as_of + np.timedelta64(ANNOUNCED_DAYS, "D")
    return np.asarray(known & (issue <= last_delivery_day(contract)))


def _term_end(issue: Dates, months: int) -> Dates:
    """Return the date `months` after each issue; from a month's end to a month's end."""
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
    """Return which securities can be delivered into a Treasury future.

    Parameters
    ----------
    contract : Contract
        A Treasury future.
    issue_date, maturity_date : array_like of datetime64[D], shape (N,)
        Original issue and maturity of each security.
    as_of : date_like
        Issues dated up to seven days later are known.
    resold_as : sequence of str or None, length N, optional
        Later sales as a new original issue; see `parse_resold`.
    kind : sequence of str or None, length N, optional
        note, bond, tips, frn, bill, strip or mbs. None: a note or bond.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    ValueError
        The contract is no Treasury future, or a sale is unreadable.

    Notes
    -----
    CBOT rulebook chapters 18 to 21, 25, 26, 39 and 40, with the numbers of contracts.toml. Lower
    bounds of the remaining term run from the first day of the delivery month.
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


def _column(table: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a required column in the type we work with."""
    if name not in table.column_names:
        raise ValueError(f"securities: column {name!r} is missing; given: {table.column_names}")
    try:
        column = pc.cast(table[name], kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"securities: column {name!r}: {error}") from None
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise ValueError(f"securities: column {name!r} is missing in row {row + 1}")
    return column


def _optional_text(table: pa.Table, name: str) -> list[str | None] | None:
    """Return an optional text column, blanks as None."""
    if name not in table.column_names:
        return None
    return [text or None for text in table[name].cast(pa.string()).to_pylist()]


def deliverable_basket(
    *, root: str, delivery_month: Any, securities: Any, as_of: npt.ArrayLike
) -> pa.Table:
    """Return the securities deliverable into a Treasury future, with their conversion factors.

    Parameters
    ----------
    root : str
        ZT, Z3N, ZF, ZN, TN, TWE, ZB or UB.
    delivery_month : date_like
        Such as "2025-06".
    securities : table
        Anything that speaks the Arrow PyCapsule protocol (Arrow, pandas, polars), with columns
        cusip, coupon_pct, issue_date, maturity_date and, optionally, type and resold_as.
    as_of : date_like
        Issues dated up to seven days later, and by last delivery, count.

    Returns
    -------
    pyarrow.Table
        cusip, coupon_pct (percent), issue_date, maturity_date, conversion_factor; by maturity, then
        cusip.

    Raises
    ------
    ValueError
        The contract was never listed or is no Treasury future; a column is missing or unreadable,
        or a coupon looks like a decimal.
    """
    month = cast(np.datetime64, as_dates(delivery_month, "delivery_month")[()])
    contract = Contract(root, month)
    source = pa.table(securities)
    table = pa.table(
        {
            "cusip": _column(source, "cusip", pa.string()),
            "coupon_pct": _column(source, "coupon_pct", pa.float64()),
            "issue_date": _column(source, "issue_date", pa.date32()),
            "maturity_date": _column(source, "maturity_date", pa.date32()),
        }
    )
    kind = _optional_text(source, "type")
    nominal = [k is None or k in DELIVERABLE_KINDS for k in kind or [None] * len(table)]
    check_coupons(table["coupon_pct"].to_numpy()[np.array(nominal, np.bool_)])
    mask = deliverable(
        contract,
        issue_date=table["issue_date"].to_numpy(),
        maturity_date=table["maturity_date"].to_numpy(),
        as_of=as_of,
        resold_as=_optional_text(source, "resold_as"),
        kind=kind,
    )
    basket = table.filter(pa.array(mask)).sort_by(
        [("maturity_date", "ascending"), ("cusip", "ascending")]
    )
    factors = conversion_factors(
        contract, basket["coupon_pct"].to_numpy() / 100.0, basket["maturity_date"].to_numpy()
    )
    return basket.append_column("conversion_factor", pa.array(factors, pa.float64()))
