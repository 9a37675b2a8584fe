"""Securities from the Treasury's auction results and from its list of the public debt."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Integer, Mask
from crossmargin.io.cells import read_cells
from crossmargin.io.layouts.headers import blanked, text

_TYPES = {
    "tips": r"tips|inflation",
    "frn": r"frn|floating",
    "bill": r"bill|cmb|cash management",
    "note": r"note",
    "bond": r"bond",
}
"""Our types by words of the downloads; the first word found decides."""
_WITHOUT_COUPON = ("bill", "frn")
"""Types without a fixed coupon; it is blank in these files."""
_BEARING = columns.text_column(("note", "bond", "tips"))
"""Types whose coupon the auction sets; without one, an issue is announced but not yet sold."""
_CUSIP = r"^[0-9][0-9A-Za-z]{7}[0-9]$"
_MILLIONS = "e6"


def auction_results(table: pa.Table) -> tuple[pa.Table, str] | None:
    """Read auction results, a row for each sale, of TreasuryDirect or FiscalData.

    The downloads are TreasuryDirect's query and FiscalData's `auctions_query`. The first sale of a
    security gives its original issue date. A later sale with another whole term goes into
    `resold_as`, whether it is flagged as a reopening or not.
    """
    cusip, sold = text(table, "cusip"), text(table, "issuedate")
    matures, kind = text(table, "maturitydate"), text(table, "securitytype")
    term = text(table, "securityterm")
    coupon = text(table, "intrate", "interestrate")
    if any(c is None for c in (cusip, sold, matures, kind, term, coupon)):
        return None
    issued, unsure = sold, _yes(table, "reopening")
    original = text(table, "originalissuedate")
    if original is not None:
        lacking = _missing(original)
        issued = pc.if_else(columns.column(lacking), sold, original)
        unsure = unsure & lacking
    ours = _type(kind, _yes(table, "inflationindexsecurity", "tips"), _yes(table, "floatingrate"))
    coupon = _coupon(coupon, ours)
    announced = _missing(coupon) & columns.flags(pc.is_in(ours, value_set=_BEARING))

    number = _security_numbers(cusip)
    order = _by_date(number, sold, ~announced)
    keep, first = _first_of_each(number, order)
    years = _whole_years(term)
    later = order[first[number[order]] != order]
    # Other later sales state the remaining term, as in 9-Year 11-Month, or the old term.
    again = later[(years[later] > 0) & (years[later] != years[first[number[later]]])]
    note = _note(
        "read as auction results, a row for each sale",
        {
            "later sales of a security: its earliest issue date is used": later.size,
            "sales of an old security as a new, shorter issue: see resold_as": again.size,
            "rows without an interest rate yet left out": announced.sum(),
            "rows with another coupon or maturity than the one used: check them": (
                _contradicting(coupon, matures, number, order, first)
            ),
            "securities with reopenings only, of which the first gives the issue date: add the "
            "first sale": unsure[keep].sum(),
        },
    )
    cells = {
        "cusip": cusip,
        "coupon_pct": coupon,
        "issue_date": issued,
        "maturity_date": matures,
        "type": ours,
        "resold_as": _resold(first[number[again]], sold, years, again, len(table)),
    }
    return blanked(cells, keep), note


def public_debt(table: pa.Table) -> tuple[pa.Table, str] | None:
    """Read the list of marketable securities of the Monthly Statement of the Public Debt.

    The last of several months is used. Of the rows of a security the one with the earliest issue
    date is used, with the largest outstanding amount in its rows.
    """
    cusip = text(table, "securityclass2desc", "securityclass2description")
    kind = text(table, "securityclass1desc", "securityclass1description")
    coupon = text(table, "interestratepct", "interestrate")
    issued, matures = text(table, "issuedate"), text(table, "maturitydate")
    amount = text(table, "outstandingamt", "outstandingamount", "outstandingamountinmillions")
    if any(c is None for c in (cusip, kind, coupon, issued, matures, amount)):
        return None
    ours = _type(kind)
    a_security = columns.flags(pc.match_substring_regex(cusip, _CUSIP))
    current = _of_last_month(text(table, "recorddate"), len(table))
    number = _security_numbers(cusip)
    order = _by_date(number, issued, a_security & current)
    keep, first = _first_of_each(number, order)
    note = _note(
        "read as the Monthly Statement of the Public Debt, amounts in millions",
        {
            "more rows of a security: its earliest issue date is used": order.size - keep.sum(),
            "rows with another coupon or maturity than the one used: check them": (
                _contradicting(coupon, matures, number, order, first)
            ),
            "rows that are not a security (totals) left out": (current & ~a_security).sum(),
            "rows of earlier months left out": (~current).sum(),
        },
    )
    cells = {
        "cusip": cusip,
        "coupon_pct": _coupon(coupon, ours),
        "issue_date": issued,
        "maturity_date": matures,
        "type": ours,
        "outstanding": _largest(amount, number, order),
    }
    return blanked(cells, keep), note


def _missing(cells: pa.StringArray) -> Mask:
    return read_cells(cells, "number").missing


def _coupon(coupon: pa.StringArray, ours: pa.StringArray) -> pa.StringArray:
    """Return coupons, zero for securities without one."""
    coupon = pc.utf8_rtrim(coupon, "%")
    none = pc.is_in(ours, value_set=columns.text_column(_WITHOUT_COUPON))
    return pc.if_else(pc.and_(none, columns.column(_missing(coupon))), columns.scalar("0"), coupon)


def _yes(table: pa.Table, *names: str) -> Mask:
    """Return a mask of the rows where a column of flags says yes; all false without the column."""
    flag = text(table, *names)
    if flag is None:
        return np.zeros(len(table), bool)
    return columns.flags(read_cells(flag, "flag").value)


def _type(
    kind: pa.StringArray, tips: Mask | None = None, floating: Mask | None = None
) -> pa.StringArray:
    """Return our types of security; unknown ones do not change, and the reader refuses them."""

    def ours(word: str) -> str:
        found = (own for own, words in _TYPES.items() if re.search(words, word.lower()))
        return next(found, word)

    types = _each(kind, ours)
    for flag, own in ((tips, "tips"), (floating, "frn")):
        if flag is not None:
            types = pc.if_else(columns.column(flag), columns.scalar(own), types)
    return types


def _each(cells: pa.StringArray, change: Callable[[str], str]) -> pa.StringArray:
    """Return cells changed by a function that is called once for each distinct cell."""
    number, different = columns.encoded(cells)
    return columns.chosen([change(word) for word in columns.texts(different)], number)


def _security_numbers(cusip: pa.StringArray) -> Integer:
    """Return the index of each row's security; each row without a CUSIP has its own."""
    number, different = columns.encoded(cusip)
    unnamed = columns.flags(pc.equal(cusip, columns.scalar("")))
    return np.where(unnamed, len(different) + np.arange(number.size), number)


def _whole_years(term: pa.StringArray) -> Integer:
    """Return the years of terms such as `7-Year`, 0 for `9-Year 10-Month` and `26-Week`."""
    match = pc.extract_regex(term, r"^(?P<years>[0-9]{1,2})-[Yy]ear$")
    return columns.integers(pc.struct_field(match, "years").cast(pa.int64()), null=0)


def _resold(
    own: Integer, sold: pa.StringArray, years: Integer, sale: Integer, rows: int
) -> pa.StringArray:
    """Return `resold_as`: later sales as new issues, on the row of each security's first sale."""
    day = columns.dates(read_cells(sold, "date").value)
    sales: dict[int, list[str]] = {}
    for row, again in zip(own.tolist(), sale.tolist(), strict=True):
        sales.setdefault(row, []).append(f"{day[again]}:{years[again]}-Year")
    return columns.text_column([";".join(sales.get(row, ())) for row in range(rows)])


def _by_date(number: Integer, date: pa.StringArray, used: Mask) -> Integer:
    """Return the rows used, sorted by security, then date; rows without a date come last."""
    order = np.lexsort((columns.dates(read_cells(date, "date").value), number))
    return order[used[order]]


def _first_of_each(number: Integer, order: Integer) -> tuple[Mask, Integer]:
    """Return a mask of the rows that are the first of their security, and those rows' indices."""
    security, at = np.unique(number[order], return_index=True)
    keep, first = np.zeros(number.size, bool), np.full(number.max(initial=-1) + 1, -1)
    first[security] = order[at]
    keep[order[at]] = True
    return keep, first


def _contradicting(
    coupon: pa.StringArray,
    matures: pa.StringArray,
    number: Integer,
    order: Integer,
    first: Integer,
) -> int:
    """Return the number of rows that differ in coupon or maturity from their security's first."""
    rate = columns.numbers(read_cells(pc.utf8_rtrim(coupon, "%"), "number").value)
    due = columns.dates(read_cells(matures, "date").value)
    used = first[number[order]]
    other = np.abs(rate[order] - rate[used]) > 0.0  # false where one is unknown
    other |= (due[order] != due[used]) & ~np.isnat(due[order]) & ~np.isnat(due[used])
    return int(other.sum())


def _largest(amount: pa.StringArray, number: Integer, order: Integer) -> pa.StringArray:
    """Return for each row the largest amount of its security, USD."""
    plain = pc.replace_substring(amount, ",", "")
    cells = read_cells(plain, "number")
    value = columns.numbers(cells.value)[order]
    # NaN sorts last, so the last known amount is the largest.
    rank = np.lexsort((value, number[order]))
    rank = order[rank[~np.isnan(value[rank])]]
    largest = np.full(number.max(initial=-1) + 1, -1)
    largest[number[rank]] = rank
    at = largest[number]
    usd = pc.binary_join_element_wise(plain, columns.scalar(_MILLIONS), "")
    return usd.take(columns.column(at, at >= 0))


def _of_last_month(record_date: pa.StringArray | None, rows: int) -> Mask:
    if record_date is None:
        return np.ones(rows, bool)
    day = columns.dates(read_cells(record_date, "date").value)
    known = day[~np.isnat(day)]
    return np.isnat(day) | (day == known.max()) if known.size else np.ones(rows, bool)


def _note(head: str, counted: dict[str, int]) -> str:
    """Return the head, followed by the counts that are not zero."""
    return "; ".join([head, *(f"{count} {what}" for what, count in counted.items() if count)])
