"""From rows of the securities table to securities; rows that make no sense are set aside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns
from crossmargin.book.exceptions import ExceptionLog
from crossmargin.instruments.baskets import parse_resold
from crossmargin.instruments.schedule import dated_dates, first_payment
from crossmargin.instruments.securities import Securities, cash_flows, default_type
from crossmargin.market.calendars import FIRST_DATE, LAST_DATE
from crossmargin.market.curve import Curve


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
    """
    row = columns.integers(table["row"])
    cusip = columns.texts(table["cusip"])
    issue, maturity, first_coupon = (
        columns.dates(table[name]) for name in ("issue_date", "maturity_date", "first_coupon_date")
    )
    resold = columns.texts(table["resold_as"])
    resold[resold == None] = ""  # noqa: E711
    coupon, price = columns.numbers(table["coupon_pct"]) / 100.0, columns.numbers(table["price"])
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
            instrument=cusip[at],
            message=[message(i) for i in at.tolist()],
        )
        ok[at] = False

    reject(
        np.flatnonzero(maturity <= issue),
        "SECURITY_INVALID",
        lambda i: f"maturity_date {maturity[i]} is not after issue_date {issue[i]}",
    )
    # The date interest starts may lie half a year before issue.
    covered = (issue >= FIRST_DATE + 366) & (issue <= LAST_DATE)
    reject(
        np.flatnonzero(ok & ~covered),
        "SECURITY_INVALID",
        lambda i: f"issue_date {issue[i]} is outside the years we know, 1972 to 2100",
    )
    trouble = {}
    for i in np.flatnonzero(ok & (resold != "")):
        try:
            parse_resold(resold[i])
        except ValueError as error:
            trouble[int(i)] = str(error)
    for i in np.flatnonzero(ok & ~np.isnat(first_coupon)):
        try:
            one = slice(i, i + 1)
            dated = dated_dates(issue[one], maturity[one])
            first_payment(maturity[one], dated, first_coupon[one])
        except ValueError as error:
            trouble[int(i)] = str(error)
    reject(np.array(sorted(trouble), dtype=np.int64), "SECURITY_INVALID", trouble.__getitem__)

    kept = np.flatnonzero(ok)
    _, first, group = np.unique(cusip[kept].astype(str), return_index=True, return_inverse=True)
    terms = list(
        zip(coupon, issue, maturity, kind, first_coupon.astype(str), price, resold, strict=True)
    )
    differs = np.array(
        [
            i != own and repr(terms[i]) != repr(terms[own])
            for i, own in zip(kept, kept[first[group]], strict=True)
        ],
        dtype=bool,
    )
    conflict = np.isin(group, group[differs])
    reject(
        kept[conflict],
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
