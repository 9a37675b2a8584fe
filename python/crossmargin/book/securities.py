"""From rows of the securities table to securities; rows that make no sense are set aside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Dates, Float, Integer, Mask, Text
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.instruments.baskets import parse_resold
from crossmargin.instruments.identifiers import canonical_cusip, resolved_message
from crossmargin.instruments.schedule import dated_dates, first_payment
from crossmargin.instruments.securities import Securities, cash_flows, default_type
from crossmargin.market.calendars import FIRST_DATE, LAST_DATE
from crossmargin.market.curve import Curve
from crossmargin.market.rates import decimal_coupons, decimal_message, off_grid

ON_GRID = ("note", "bond", "tips")
"""Types whose coupons are multiples of 1/8 percent."""


def read_securities(table: pa.Table, *, curve: Curve, file: str, log: ExceptionLog) -> Securities:
    """Check the rows of a securities table.

    Parameters
    ----------
    table : pyarrow.Table
        Typed, as `io.parse` leaves it.
    curve : Curve
        Market prices must be met by a z-spread over it.
    file : str
        What exceptions call the table.
    log : ExceptionLog
        Takes rejected rows. Of equal rows of one CUSIP the first is used, of rows that differ none.

    Returns
    -------
    Securities
        Sorted by CUSIP.

    Raises
    ------
    InputError
        Most coupons look like decimals.
    """
    row = columns.integers(table["row"])
    named = columns.texts(table["cusip"])
    cusip, trouble = _canonical(named)
    issue, maturity, first_coupon = (
        columns.dates(table[name]) for name in ("issue_date", "maturity_date", "first_coupon_date")
    )
    resold = columns.texts(table["resold_as"])
    resold[resold == None] = ""  # noqa: E711
    coupon_pct, price = columns.numbers(table["coupon_pct"]), columns.numbers(table["price"])
    coupon = coupon_pct / 100.0
    given = columns.texts(table["type"])
    kind = np.where(given == None, default_type(issue, maturity), given)  # noqa: E711
    blank = int(np.count_nonzero(given == None))  # noqa: E711
    if blank:
        log.add(
            "TYPE_ASSUMED",
            file=file,
            message=f"{blank} of {row.size} rows have no type and are taken as nominal by their "
            "term; mark TIPS, FRNs and STRIPS, or they are margined as notes",
        )
    ok = np.ones(row.size, dtype=bool)

    def reject(at: npt.NDArray[np.int64], code: str, message: Callable[[int], str]) -> None:
        log.add(
            code,
            file=file,
            row=row[at],
            instrument=named[at],
            message=[message(i) for i in at.tolist()],
        )
        ok[at] = False

    reject(np.array(sorted(trouble), dtype=np.int64), "SECURITY_INVALID", trouble.__getitem__)
    on_grid = np.isin(kind.astype(str), ON_GRID)
    _refuse_decimals(coupon_pct[on_grid], row[on_grid], file)
    reject(
        np.flatnonzero(ok & on_grid & off_grid(coupon_pct)),
        "SECURITY_INVALID",
        lambda i: (
            f"coupon_pct {decimal_message(coupon_pct[i])}"
            + ("; if it is the spread of an FRN, give the type" if given[i] is None else "")
        ),
    )
    reject(
        np.flatnonzero(ok & (maturity <= issue)),
        "SECURITY_INVALID",
        lambda i: f"maturity_date {maturity[i]} is not after issue_date {issue[i]}",
    )
    # The date interest starts may lie half a year before issue.
    covered = (issue >= FIRST_DATE + np.timedelta64(366, "D")) & (issue <= LAST_DATE)
    reject(
        np.flatnonzero(ok & ~covered),
        "SECURITY_INVALID",
        lambda i: f"issue_date {issue[i]} is outside the years we know, 1972 to 2100",
    )
    trouble = _wrong_sales_and_first_coupons(resold, issue, maturity, first_coupon, ok)
    reject(np.array(sorted(trouble), dtype=np.int64), "SECURITY_INVALID", trouble.__getitem__)

    kept = np.flatnonzero(ok)
    but_issue = list(
        zip(coupon, maturity, kind, first_coupon.astype(str), price, resold, strict=True)
    )
    first, conflict, resale = _compared(cusip[kept], issue[kept], [but_issue[i] for i in kept])
    reject(
        kept[resale],
        "SECURITY_DUPLICATE",
        lambda i: (
            f"{cusip[i]} has rows of different issue dates, as a reopened security has: none "
            "is used; keep the row with the earliest issue date"
        ),
    )
    reject(
        kept[conflict & ~resale],
        "SECURITY_DUPLICATE",
        lambda i: f"{cusip[i]} has rows that differ: none is used; keep the right one",
    )
    reject(
        np.setdiff1d(kept[~conflict], kept[first]),
        "SECURITY_DUPLICATE",
        lambda i: f"{cusip[i]} has an earlier row that says the same; keep one",
    )
    first = first[ok[kept[first]]]
    kept = kept[first]
    pairs = zip(named[kept], cusip[kept], strict=True)
    resolved = {text: name for text, name in pairs if text.strip().upper() != name}
    if resolved:
        log.add("NAME_RESOLVED", file=file, message=resolved_message(resolved))
    securities = Securities(
        cusip=cusip[kept],
        type=kind[kept].astype(object),
        coupon=coupon[kept],
        issue_date=issue[kept],
        maturity_date=maturity[kept],
        first_coupon_date=first_coupon[kept],
        price=price[kept],
        resold_as=resold[kept],
        outstanding=columns.numbers(table["outstanding"])[kept],
    )
    with_price = np.flatnonzero(
        securities.nominal & (securities.maturity_date > curve.as_of) & ~np.isnan(securities.price)
    )
    unmet = with_price[np.isnan(cash_flows(securities.take(with_price), curve).spread)]
    reject(
        kept[unmet],
        "SECURITY_INVALID",
        lambda i: "no z-spread within 100% of the curve meets the price; check it",
    )
    return securities.take(np.setdiff1d(np.arange(kept.size), unmet))


def _canonical(named: Text) -> tuple[Text, dict[int, str]]:
    """Return the CUSIPs that names stand for, and what is wrong with some, by number."""
    cusip, trouble = named.copy(), {}
    for i, name in enumerate(named.tolist()):
        try:
            cusip[i] = canonical_cusip(name)
        except ValueError as error:
            trouble[i] = str(error)
    return cusip, trouble


def _wrong_sales_and_first_coupons(
    resold: Text,
    issue: Dates,
    maturity: Dates,
    first_coupon: Dates,
    ok: Mask,
) -> dict[int, str]:
    """Return what is wrong with `resold_as` and first coupons of the rows accepted, by number."""
    trouble = {}
    for i in np.flatnonzero(ok & (resold != "")).tolist():
        try:
            parse_resold(resold[i])
        except ValueError as error:
            trouble[i] = str(error)
    for i in np.flatnonzero(ok & ~np.isnat(first_coupon)).tolist():
        one = slice(i, i + 1)
        try:
            dated = dated_dates(issue[one], maturity[one])
            first_payment(maturity[one], dated, first_coupon[one])
        except ValueError as error:
            trouble[i] = str(error)
    return trouble


def _compared(
    cusip: Text, issue: Dates, terms: list[tuple[object, ...]]
) -> tuple[Integer, Mask, Mask]:
    """Return the first row of each CUSIP, ascending, and which rows are of one whose rows differ.

    Last, which are of one whose rows differ in the issue date alone.
    """
    _, first, group = np.unique(cusip.astype(str), return_index=True, return_inverse=True)
    own = first[group]
    again = np.flatnonzero(own != np.arange(own.size)).tolist()
    # NaN, of a price that is not given, equals itself as a text.
    other = [i for i in again if repr(terms[i]) != repr(terms[own[i]])]
    later = [i for i in again if issue[i] != issue[own[i]]]
    other_terms, conflict = (np.isin(group, group[rows]) for rows in (other, other + later))
    return first, conflict, conflict & ~other_terms


def _refuse_decimals(coupon_pct: Float, row: Integer, file: str) -> None:
    """Refuse a file in which most coupons look like decimals."""
    decimal = np.flatnonzero(decimal_coupons(coupon_pct))
    if 2 * decimal.size > np.count_nonzero(coupon_pct):
        first = decimal[0]
        raise InputError(
            f"{file}, row {row[first]}: coupon_pct {decimal_message(coupon_pct[first])}; "
            f"{decimal.size} of {coupon_pct.size} coupons look like decimals: give percent"
        )
