"""Read securities from the rows of the securities table; rows that make no sense are listed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Dates, Float, Integer, Mask, Text
from crossmargin.book.rows import Names, Rows
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.instruments.baskets import parse_resold
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.instruments.identifiers import canonical_cusip, resolved_message
from crossmargin.instruments.schedule import dated_dates, first_payment
from crossmargin.instruments.securities import Securities, default_type
from crossmargin.market.calendars import FIRST_DATE, LAST_DATE
from crossmargin.market.curve import Curve
from crossmargin.market.rates import decimal_coupons, decimal_message, off_grid

ON_GRID = ("note", "bond", "tips")
"""Types whose coupons are multiples of 1/8 percent."""


@dataclass(frozen=True)
class AcceptedSecurities:
    """Securities whose rows make sense, whatever the curve.

    Attributes
    ----------
    securities : Securities
        Sorted by CUSIP.
    name : ndarray of str, [N]
        As the rows name them.
    row : ndarray of int64, [N]
        Data row in the file, from 1.
    file : str
        Name of the table in exceptions.
    """

    securities: Securities
    name: Text
    row: Integer
    file: str

    def on_curve(
        self, curve: Curve, log: ExceptionLog, baskets: BasketStore | None = None
    ) -> Securities:
        """Return those whose price a z-spread over a curve reproduces; reject the others.

        Parameters
        ----------
        curve : Curve
        log : ExceptionLog
            Takes the rejected rows.
        baskets : BasketStore, optional
            Keeps the schedules for the next call.

        Returns
        -------
        Securities
            The same object for every curve that rejects none.
        """
        own, baskets = self.securities, baskets or BasketStore()
        bonds = baskets.bonds(own, curve.as_of)
        unmet = bonds.alive[np.isnan(baskets.flows(bonds, curve).spread)]
        if not unmet.size:
            return own
        log.add(
            "SECURITY_INVALID",
            file=self.file,
            row=self.row[unmet],
            instrument=self.name[unmet],
            message=["no z-spread within 100% of the curve reproduces the price; check it"]
            * unmet.size,
        )
        return own.take(np.delete(np.arange(own.cusip.size), unmet))


def read_securities(table: pa.Table, *, curve: Curve, file: str, log: ExceptionLog) -> Securities:
    """Return the securities of a securities table.

    Parameters
    ----------
    table, file, log
        As for `accept_securities`.
    curve : Curve
        A z-spread over it must reproduce each market price.

    Returns
    -------
    Securities
        Sorted by CUSIP.

    Raises
    ------
    InputError
        Most coupons look like decimals.
    """
    return accept_securities(table, file=file, log=log).on_curve(curve, log)


def accept_securities(table: pa.Table, *, file: str, log: ExceptionLog) -> AcceptedSecurities:
    """Return the securities of a securities table, their prices not yet compared with a curve.

    Parameters
    ----------
    table : pyarrow.Table
        Typed, as `io.parse` returns it.
    file : str
        Name of the table in exceptions.
    log : ExceptionLog
        Takes rejected rows. If the rows of a CUSIP are equal, the first is used; if they differ,
        none is.

    Returns
    -------
    AcceptedSecurities

    Raises
    ------
    InputError
        Most coupons look like decimals.
    """
    given = _given(table)
    rows = Rows(table["row"], Names(table["cusip"]), file=file, log=log)
    blank = int(np.count_nonzero(given.untyped))
    if blank:
        rows.note_file(
            "TYPE_ASSUMED",
            f"{blank} of {rows.row.size} rows have no type and are taken as nominal bills, notes "
            "or bonds; mark TIPS, FRNs and STRIPS, or they are margined as notes",
        )
    cusip, trouble = _canonical(given.name)
    _reject_each(rows, trouble)
    _check_coupons(rows, given)
    _check_dates(rows, given)
    _reject_each(rows, _wrong_sales_and_first_coupons(given, rows.ok))
    kept = _drop_repeats(rows, given, cusip)
    _note_names(rows, given.name[kept], cusip[kept])
    securities = Securities(
        cusip=cusip[kept],
        type=given.type[kept].astype(object),
        coupon=given.coupon_pct[kept] / 100.0,
        issue_date=given.issue[kept],
        maturity_date=given.maturity[kept],
        first_coupon_date=given.first_coupon[kept],
        price=given.price[kept],
        resold_as=given.resold[kept],
        outstanding=columns.numbers(table["outstanding"])[kept],
    )
    return AcceptedSecurities(securities, given.name[kept], rows.row[kept], file)


@dataclass(frozen=True)
class _Given:
    """Cells of the rows, [N]; where the type is blank, `untyped` is true and `type` assumed."""

    name: Text
    type: Text
    untyped: Mask
    coupon_pct: Float
    issue: Dates
    maturity: Dates
    first_coupon: Dates
    price: Float
    resold: Text


def _given(table: pa.Table) -> _Given:
    issue, maturity, first_coupon = (
        columns.dates(table[name]) for name in ("issue_date", "maturity_date", "first_coupon_date")
    )
    resold, kind = columns.texts(table["resold_as"]), columns.texts(table["type"])
    resold[resold == None] = ""  # noqa: E711
    untyped = np.asarray(kind == None)  # noqa: E711
    return _Given(
        name=columns.texts(table["cusip"]),
        type=np.where(untyped, default_type(issue, maturity), kind),
        untyped=untyped,
        coupon_pct=columns.numbers(table["coupon_pct"]),
        issue=issue,
        maturity=maturity,
        first_coupon=first_coupon,
        price=columns.numbers(table["price"]),
        resold=resold,
    )


def _reject_each(rows: Rows, trouble: dict[int, str]) -> None:
    """Reject rows by index, each with its own message."""
    wrong = np.zeros(rows.row.size, dtype=bool)
    wrong[list(trouble)] = True
    rows.reject(wrong, "SECURITY_INVALID", trouble.__getitem__)


def _check_coupons(rows: Rows, given: _Given) -> None:
    """Reject coupons that are not a multiple of 1/8 percent; refuse a file of decimals."""
    on_grid = np.isin(given.type.astype(str), ON_GRID)
    _refuse_decimals(given.coupon_pct[on_grid], rows.row[on_grid], rows.file)
    rows.reject(
        on_grid & off_grid(given.coupon_pct),
        "SECURITY_INVALID",
        lambda i: (
            f"coupon_pct {decimal_message(given.coupon_pct[i])}"
            + ("; if it is the spread of an FRN, give the type" if given.untyped[i] else "")
        ),
    )


def _check_dates(rows: Rows, given: _Given) -> None:
    """Reject securities that mature before issue, or are issued in years not covered."""
    issue, maturity = given.issue, given.maturity
    rows.reject(
        maturity <= issue,
        "SECURITY_INVALID",
        lambda i: f"maturity_date {maturity[i]} is not after issue_date {issue[i]}",
    )
    # The date interest starts may lie half a year before issue.
    covered = (issue >= FIRST_DATE + np.timedelta64(366, "D")) & (issue <= LAST_DATE)
    rows.reject(
        ~covered,
        "SECURITY_INVALID",
        lambda i: f"issue_date {issue[i]} is outside the years covered, 1972 to 2100",
    )


def _drop_repeats(rows: Rows, given: _Given, cusip: Text) -> Integer:
    """Return the row of each CUSIP, by CUSIP; reject repeats, and all rows that differ."""
    kept = np.flatnonzero(rows.ok)
    terms = list(
        zip(
            given.coupon_pct / 100.0,
            given.maturity,
            given.type,
            given.first_coupon.astype(str),
            given.price,
            given.resold,
            strict=True,
        )
    )
    first, conflict, resale = _compared(cusip[kept], given.issue[kept], [terms[i] for i in kept])
    differ, reopened, used = (np.zeros(rows.row.size, dtype=bool) for _ in range(3))
    differ[kept[conflict]] = True
    reopened[kept[resale]] = True
    used[kept[first]] = True
    rows.reject(
        reopened,
        "SECURITY_DUPLICATE",
        lambda i: (
            f"{cusip[i]} has rows with different issue dates, as a reopened security has; none "
            "is used: keep the row with the earliest issue date"
        ),
    )
    rows.reject(
        differ,
        "SECURITY_DUPLICATE",
        lambda i: f"{cusip[i]} has rows that differ; none is used: keep the right one",
    )
    rows.reject(
        ~used,
        "SECURITY_DUPLICATE",
        lambda i: f"{cusip[i]} has an equal earlier row; keep one",
    )
    return kept[first[rows.ok[kept[first]]]]


def _note_names(rows: Rows, name: Text, cusip: Text) -> None:
    """Note the names that were resolved to another CUSIP."""
    pairs = zip(name, cusip, strict=True)
    resolved = {text: own for text, own in pairs if text.strip().upper() != own}
    if resolved:
        rows.note_file("NAME_RESOLVED", resolved_message(resolved))


def _canonical(named: Text) -> tuple[Text, dict[int, str]]:
    """Return the CUSIPs that names stand for, and messages for wrong names, by index."""
    cusip, trouble = named.copy(), {}
    for i, name in enumerate(named.tolist()):
        try:
            cusip[i] = canonical_cusip(name)
        except ValueError as error:
            trouble[i] = str(error)
    return cusip, trouble


def _wrong_sales_and_first_coupons(given: _Given, ok: Mask) -> dict[int, str]:
    """Return messages for wrong `resold_as` and first coupons of accepted rows, by index."""
    trouble = {}
    for i in np.flatnonzero(ok & (given.resold != "")).tolist():
        try:
            parse_resold(given.resold[i])
        except ValueError as error:
            trouble[i] = str(error)
    for i in np.flatnonzero(ok & ~np.isnat(given.first_coupon)).tolist():
        one = slice(i, i + 1)
        try:
            dated = dated_dates(given.issue[one], given.maturity[one])
            first_payment(given.maturity[one], dated, given.first_coupon[one])
        except ValueError as error:
            trouble[i] = str(error)
    return trouble


def _compared(
    cusip: Text, issue: Dates, terms: list[tuple[object, ...]]
) -> tuple[Integer, Mask, Mask]:
    """Return the first row of each CUSIP, ascending, and two masks of rows.

    The first mask marks rows of a CUSIP whose rows differ; the second, those of a CUSIP whose rows
    differ only in the issue date.
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
