"""Contracts from what a report says of each row: codes of the product, an expiry, a type.

Codes are found in every symbology that `instruments.identifiers` knows. What is not a future that
is margined here gets a text that says so, by which the row is refused when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from crossmargin import columns
from crossmargin.instruments.contracts import (
    MONTH_CODES,
    Contract,
    last_day,
    last_trading_day,
    month_number,
    roots,
)
from crossmargin.instruments.identifiers import canonical_root, contract_parts
from crossmargin.io.cells import read_cells
from crossmargin.io.dates import Order, slash_order
from crossmargin.market.calendars import MONTH

OUR_EXCHANGES = ("", "CBT", "CBOT", "XCBT", "CME", "XCME", "CMEGROUP", "GLBX", "CBTCME")
"""Spellings of the exchanges of our contracts; the two are not told apart."""
FUTURE_WORDS = ("", "F", "FUT", "FUTURE", "FUTURES")
NO_SIDE_WORDS = (*FUTURE_WORDS, "N", "NONE", "NA", "N/A", "-")
"""Words in a column of puts and calls for a row that is neither."""
OPTION_WORDS = ("O", "OPT", "OPTION", "OPTIONS", "OOF", "OOP", "CALL", "PUT", "C", "P")
PUTS = ("P", "PUT", "0")
CALLS = ("C", "CALL", "1")
DOLLARS = ("", "USD", "US", "US$", "$", "USDOLLAR")
LONGEST_CODE = 20
_EARLIER = 4
"""Months that a contract may expire after the month that names it."""
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), 1
    )
}
_YEAR_MONTH = re.compile(r"(20[0-9]{2})[-/]?(0[1-9]|1[0-2])(?:[-/]?00)?")
_NAMED_MONTH = re.compile(r"([A-Z]{3})[A-Z]*[ '/.-]*(20[0-9]{2}|[0-9]{2})")
_LETTER = re.compile(rf"([{MONTH_CODES}]) ?(20[0-9]{{2}}|[0-9]{{1,2}})")
_COMPACT_DATE = re.compile(r"(20[0-9]{2})([0-9]{2})([0-9]{2})")
_MIDNIGHT = re.compile(r"[ T]00:00(:00(\.0+)?)?Z?$")
_WHOLE = re.compile(r"([0-9]+)\.0+")


class Row(NamedTuple):
    """What a report says of an instrument: upper-case texts, blank where it says nothing."""

    exchange: str
    type: str
    put_call: str
    strike: str
    currency: str
    expiry: str
    codes: tuple[str, ...]


class Expiry(NamedTuple):
    """What an expiry says: a month, a date, or a month letter and year; or nothing known."""

    month: np.datetime64 | None = None
    date: np.datetime64 | None = None
    letter: str = ""


class Expiries:
    """Reads the expiries of a report.

    Parameters
    ----------
    texts : sequence of str
        Its different expiries, in upper case.
    header : str
        The column's name in plain letters. In one of expiry dates, the first of a month is a day.
    """

    def __init__(self, texts: Sequence[str], header: str) -> None:
        cells = columns.text_column(list(texts)).dictionary_encode()
        order, self.notes = slash_order({header: cells})
        self._read = {text: _expiry(text, order) for text in texts}
        days = [one.date for one in self._read.values() if one.date is not None]
        named = re.search("expir|settle|matur|last", header) is not None
        self._months = not named and all(day == day.astype("datetime64[M]") for day in days)

    def symbol(self, root: str, text: str) -> str | None:
        """Return the contract of a root that expires so; None if that is not clear."""
        expiry = self._read[text]
        if expiry.letter:
            return f"{root}{expiry.letter}"
        month = expiry.month
        if expiry.date is not None:
            month = self._month_of(root, expiry.date)
        if month is None:
            return None
        year = int(month.astype("datetime64[Y]").astype(np.int64)) + 1970
        return f"{root}{MONTH_CODES[month_number(month) - 1]}{year % 100:02d}"

    def _month_of(self, root: str, date: np.datetime64) -> np.datetime64 | None:
        """Return the month of the contract that a date names.

        Its last trading day or last day names a contract for certain. Another date of the delivery
        month names a Treasury future. The month in which a short-rate future settles is not always
        its own, so a date that is not its last is unclear, unless all dates are months' firsts.
        """
        own: np.datetime64 = date.astype("datetime64[M]")
        for contract in _around(root, own):
            if date in (last_trading_day(contract), last_day(contract)):
                return contract.month
        first_of_month = date == own
        if root in roots("treasury") or (first_of_month and self._months):
            return own
        return None


def _around(root: str, month: np.datetime64) -> Iterator[Contract]:
    """Yield the contracts of a root whose last day may lie in a month."""
    for back in range(_EARLIER + 1):
        try:
            yield Contract(root, month - back * MONTH)
        except ValueError:
            continue


def _expiry(text: str, order: Order) -> Expiry:
    text = _MIDNIGHT.sub("", text)
    if whole := _WHOLE.fullmatch(text):
        text = whole[1]
    if found := _YEAR_MONTH.fullmatch(text):
        return Expiry(month=np.datetime64(f"{found[1]}-{found[2]}", "M"))
    if (found := _NAMED_MONTH.fullmatch(text)) and found[1] in _MONTHS:
        year = int(found[2]) % 100
        return Expiry(month=np.datetime64(f"20{year:02d}-{_MONTHS[found[1]]:02d}", "M"))
    if found := _LETTER.fullmatch(text):
        return Expiry(letter=found[1] + found[2])
    if found := _COMPACT_DATE.fullmatch(text):
        text = "-".join(found.groups())
    cells = columns.text_column([text])
    (date,) = columns.dates(read_cells(cells, "date", order=order).value)
    return Expiry() if np.isnat(date) else Expiry(date=date)


def instrument_of(row: Row, symbol_of: Callable[[str, str], str | None]) -> tuple[str, str]:
    """Return a row's instrument, or the code of a product that is not margined here.

    Parameters
    ----------
    row : Row
    symbol_of : callable
        Returns the contract of a root and an expiry, None if that is unclear.

    Returns
    -------
    instrument, other : str
        One of them is blank, or both where the row names no product.
    """
    codes = [_plain_code(code) for code in row.codes if code]
    if not codes:
        return "", ""
    whole = [parts for code in codes if (parts := _whole_contract(code)) is not None]
    roots_found = [canonical_root(code) for code in codes] + [root for root, *_ in whole]
    found = [root for root in dict.fromkeys(roots_found) if root is not None]
    if not found:
        code = codes[0][:LONGEST_CODE]
        # Rather a misspelling, or an option on one of ours, than another product.
        return (f"{code} {row.expiry}".strip(), "") if code.startswith(roots()) else ("", code)
    symbol = symbol_of(found[0], row.expiry) or f"{found[0]} {row.expiry}".strip()
    if any(not _names(symbol, month, digits) for _, month, digits in whole):
        return f"{' or '.join(codes)} {row.expiry}", ""
    if len(found) > 1:
        return f"{' or '.join(found)} {row.expiry}".strip(), ""
    if row.exchange.replace(" ", "") not in OUR_EXCHANGES:
        return f"{symbol} on {row.exchange}", ""
    if row.currency not in DOLLARS:
        return f"{symbol} in {row.currency}", ""
    return f"{symbol}{_not_a_future(row)}", ""


def _not_a_future(row: Row) -> str:
    """Return what to add to a contract's name, if the row is not a future."""
    option = row.put_call not in NO_SIDE_WORDS or row.type in OPTION_WORDS
    if option:
        put = row.put_call in PUTS or row.type in ("PUT", "P")
        return f" {'P' if put else 'C'}{row.strike or 0}"
    if row.type not in FUTURE_WORDS:
        return f" of type {row.type}"
    try:
        struck = bool(row.strike) and float(row.strike) != 0.0
    except ValueError:
        struck = row.strike not in NO_SIDE_WORDS
    # A future may repeat its price there; without a type, a strike means an option.
    return f" of strike {row.strike}" if struck and not row.type else ""


def _whole_contract(code: str) -> tuple[str, int, str] | None:
    """Return the parts of a code that is a whole contract, as ZNM5; None for others."""
    try:
        return contract_parts(code)
    except ValueError:
        return None


def _names(symbol: str, month: int, digits: str) -> bool:
    """Tell whether a contract is of a month and of a year with these last digits."""
    try:
        _, number, year = contract_parts(symbol)
    except ValueError:
        return False
    return number == month and (year.endswith(digits) or digits.endswith(year))


def _plain_code(code: str) -> str:
    """Return a code as text; a spreadsheet may have made a number of it."""
    whole = _WHOLE.fullmatch(code)
    return whole[1] if whole else code
