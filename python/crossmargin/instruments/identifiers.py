"""Read names of instruments as files write them: contracts and CUSIPs.

Vendors' names of the roots are data, dated and sourced, in identifiers.toml beside this module.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from crossmargin.instruments.contracts import (
    MONTH_CODES,
    Contract,
    delivery_months,
    first_month,
    last_listed,
    roots,
)
from crossmargin.instruments.schedule import as_dates
from crossmargin.market.calendars import MONTH

CUSIP_LENGTH = 9
MOST_TOLD = 5
"""Most names that a note lists."""
FAR_MONTHS = 60
"""Months; a contract further ahead is seldom held."""
STALE_MONTHS = 24
"""Months; a one-digit year still means the expired contract for so long after it expired."""
_CUSIP_VALUE = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*@#"
# CUSIPs of domestic issuers begin with a digit; a user's own names usually do not.
_CUSIP = re.compile(r"[0-9][0-9A-Z*@#]{7}[0-9]")
_NO_CHECK_DIGIT = re.compile(r"[0-9]{3}[0-9A-Z]{5}")
_ISIN = re.compile(r"[A-Z]{2}[0-9A-Z]{9}[0-9]")
_SCIENTIFIC = re.compile(r"[0-9]\.[0-9]+E\+?[0-9]+|[0-9]E\+[0-9]+")

_MONTH = f"[{MONTH_CODES}]"
_ANY_ROOT = "(?=[0-9]?[A-Z])[A-Z0-9]{1,3}"
_YEAR = r"(?:[0-9]{4}|[0-9]{1,2})"
_SUFFIX = r"(?: (?:COMB|PIT))?(?: COMDTY)?|[-. ](?:CBT|CBOT|CME)"


def parse_contract(text: str, as_of: np.datetime64 | datetime.date | str) -> Contract:
    """Return the contract that a name stands for.

    Parameters
    ----------
    text : str
        Root, month letter and year: ZNM5, ZNM25, ZNM2025, ZN 202506. Vendors' spellings such as
        `TYM5 Comdty` or `ZNM25-CBT` are read too. Case and blanks do not matter.
    as_of : date_like
        Resolves a year of one or two digits: the latest such contract that the exchange had listed
        by this day, open or expired. For one digit, the contract ten years earlier is taken if it
        expired less than two years ago: SR3M5 in 2026 is SR3M25, although SR3M35 is listed.

    Returns
    -------
    Contract
        It may have expired.

    Raises
    ------
    ValueError
        The text does not name a contract, or names one that was not listed by then.
    """
    root, number, digits = contract_parts(text)
    letter, months = MONTH_CODES[number - 1], delivery_months(root)
    if number not in months:
        letters = ", ".join(MONTH_CODES[m - 1] for m in months)
        raise ValueError(f"{text}: {root} has no contract of month {letter}; its months: {letters}")
    date = cast(np.datetime64, as_dates(as_of, "as_of")[()])
    last = last_listed(root, number, date)
    year = int(digits)
    if year < 100:
        latest = date.astype("datetime64[M]") if last is None else last
        if len(digits) == 1:
            stale = date.astype("datetime64[M]") + (120 - STALE_MONTHS) * MONTH
            latest -= 12 * max(0, -(int((stale - latest) / MONTH) // 12)) * MONTH
        year = int(latest.astype("datetime64[Y]").astype(np.int64)) + 1970
        year -= (year - int(digits)) % 10 ** len(digits)
    month = np.datetime64(f"{year:04d}-{number:02d}", "M")
    begins = first_month(root)
    if last is None or not begins <= month <= last:
        until = "none is listed" if last is None else f"the last is {Contract(root, last).symbol}"
        raise ValueError(
            f"{text!r} is not listed yet on {date}; {root} begins with {begins}, and of month "
            f"{letter} {until}"
        )
    return Contract(root, month)


def canonical_root(text: str) -> str | None:
    """Return the exchange's root if a text is a root alone, in its own or a vendor's spelling."""
    return _root_names().get(text.strip().upper())


def other_root(text: str) -> str | None:
    """Return the root if a text looks like a root or contract of a product not known here.

    A text that begins with a known root is rather a contract of it, misspelt: None, as for any
    other text.
    """
    name = " ".join(text.upper().split())
    match = _patterns().other.fullmatch(name)
    if match is None or name.startswith(tuple(_root_names())):
        return None
    return match[1] or match[2]


def canonical_cusip(text: str) -> str:
    """Return the CUSIP that a text stands for, or the text itself if it does not look like one.

    Parameters
    ----------
    text : str
        A CUSIP, with or without its check digit, or an ISIN of the United States. Case and outer
        blanks do not matter. Any other text is taken as the user's own name of a security.

    Returns
    -------
    str
        In upper case.

    Raises
    ------
    ValueError
        A check digit is wrong, or a spreadsheet has turned the CUSIP into a number.
    """
    name = text.strip().upper()
    if _SCIENTIFIC.fullmatch(name):
        raise ValueError(
            f"{text!r} is a CUSIP that a spreadsheet has turned into a number: its digits are "
            "lost; export the column as text"
        )
    if _ISIN.fullmatch(name):
        _check(text, name, isin_digit(name[:-1]), "ISIN")
        if not name.startswith("US"):
            raise ValueError(
                f"{text!r} is an ISIN of {name[:2]}, which contains no CUSIP; give a CUSIP"
            )
        name = name[2:-1]
    elif _NO_CHECK_DIGIT.fullmatch(name):
        if name.isdigit() and cusip_digit("0" + name[:-1]) == name[-1]:
            raise ValueError(
                f"{text!r} lacks a check digit ({name}{cusip_digit(name)}) or a leading zero "
                f"(0{name}); give all nine characters"
            )
        name += cusip_digit(name)
    if _CUSIP.fullmatch(name):
        _check(text, name, cusip_digit(name[:-1]), "CUSIP")
    return name


def canonical_name(text: str, as_of: np.datetime64) -> str:
    """Return the symbol if a text names a contract, else the result of `canonical_cusip`."""
    try:
        return parse_contract(text, as_of).symbol
    except ValueError:
        return canonical_cusip(text)


def cusip_digit(base: str) -> str:
    """Return the check digit of a CUSIP's first eight characters, in upper case.

    Every second value is doubled, and the digits of all values are added.
    """
    values = [_CUSIP_VALUE.index(character) * (1 + n % 2) for n, character in enumerate(base)]
    return str(-sum(value // 10 + value % 10 for value in values) % 10)


def isin_digit(base: str) -> str:
    """Return the check digit of an ISIN's first eleven characters, in upper case.

    Letters count as two digits each; from the right every second digit is doubled.
    """
    digits = "".join(str(int(character, 36)) for character in base)
    values = [int(digit) * (2 - n % 2) for n, digit in enumerate(reversed(digits))]
    return str(-sum(value // 10 + value % 10 for value in values) % 10)


def _check(text: str, name: str, digit: str, what: str) -> None:
    if name[-1] != digit:
        raise ValueError(
            f"{text!r} is not a valid {what}: after {name[:-1]} the check digit is {digit}, not "
            f"{name[-1]}; correct it"
        )


def is_plain(text: str, contract: Contract, as_of: np.datetime64) -> bool:
    """Return whether a name is plain, so that no note has to say how it was read.

    Plain is the symbol, also with a one-digit year if the contract is not far ahead.
    """
    name = contract.symbol
    near = contract.month <= as_of.astype("datetime64[M]") + FAR_MONTHS * MONTH
    return text.strip().upper() in (name, name[:-2] + name[-1] if near else name)


def resolved_message(names: Mapping[str, str]) -> str:
    """Return a note on names that were not written as symbols or CUSIPs.

    Parameters
    ----------
    names : mapping of str to str
        From each text as read to the name it stands for.
    """
    told = [f"{text} is {name}" for text, name in names.items()]
    more = f" and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
    count = "1 name is" if len(told) == 1 else f"{len(told)} names are"
    return f"{count} written in another way: {', '.join(told[:MOST_TOLD])}{more}"


def contract_parts(text: str) -> tuple[str, int, str]:
    """Split a name into its root, the number of its month, and the digits of its year.

    Raises
    ------
    ValueError
        The text does not name a contract.
    """
    name = " ".join(text.upper().split())
    pattern = _patterns()
    match = pattern.contract.fullmatch(name)
    if match is not None:
        root, letter, year, year_first, number = match.groups()
        root = _root_names()[root]
        if letter is None:
            return root, int(number), year_first
        return root, MONTH_CODES.index(letter) + 1, year
    if pattern.spread.fullmatch(name):
        raise ValueError(f"{text!r} is a spread: give one row for each of its contracts")
    if pattern.option.fullmatch(name):
        raise ValueError(f"{text!r} is an option: options are not margined here")
    raise ValueError(
        f"{text!r} is not a known futures contract; expected a root ({', '.join(roots())}), "
        f"a month letter ({MONTH_CODES}) and one or two digits of the year, such as ZNM25"
    )


class _Patterns(NamedTuple):
    """Patterns of the names of contracts, spreads and options, and of other products."""

    contract: re.Pattern[str]
    spread: re.Pattern[str]
    option: re.Pattern[str]
    other: re.Pattern[str]


@cache
def _patterns() -> _Patterns:
    root = "|".join(sorted(_root_names(), key=len, reverse=True))
    leg = rf"(?:{root})[ _-]?{_MONTH} ?{_YEAR}"
    contract = (
        rf"({root})[ _-]?(?:({_MONTH}) ?([0-9]{{4}}|[0-9]{{1,2}})|(20[0-9]{{2}})-?(0[1-9]|1[0-2]))"
        rf"(?:{_SUFFIX})"
    )
    spread = rf"(?:{root}):.*|{leg} ?[-/:]? ?(?:{leg}|{_MONTH}[0-9]{{1,2}})(?:{_SUFFIX})"
    option = rf"{leg} ?[CP] ?[0-9].*|O(?:{root})[ _-]?{_MONTH} ?[0-9].*"
    other = rf"({_ANY_ROOT})|({_ANY_ROOT})[ _-]?{_MONTH} ?{_YEAR}(?:{_SUFFIX})"
    return _Patterns(*map(re.compile, (contract, spread, option, other)))


@cache
def _root_names() -> dict[str, str]:
    """Return the exchange's root for each name of a root."""
    data = tomllib.loads(Path(__file__).with_name("identifiers.toml").read_text("utf-8"))
    names = {root: root for root in roots()}
    for alias in data["alias"]:
        names |= alias["roots"]
    return names
