"""The contents of a SPAN risk parameter file, as far as its layout is confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossmargin.exceptions import InputError
from crossmargin.market.calendars import business_days_between

OLDEST_FILE = 5
"""Largest age of a SPAN file, in business days before the as-of date."""
Key = tuple[str, str]
"""Exchange and product, or exchange and combined commodity."""


@dataclass(frozen=True)
class FileSpread:
    """An inter-commodity spread: priority, credit as a share, legs (key, ratio, side)."""

    priority: int
    rate: float
    legs: tuple[tuple[Key, float, str], ...]


@dataclass(frozen=True)
class SecurityEquivalent:
    """A future position that a debt security stands for: key and month of it, contracts.

    `factor` is in contracts for each 1,000 USD of face.
    """

    target: Key
    month: np.datetime64
    factor: float


@dataclass(frozen=True)
class SpanFile:
    """What was decoded from a file.

    Attributes
    ----------
    hash : str
        SHA-256 of the file, decompressed.
    business_date : datetime64[D]
    commodity : mapping of (exchange, product) to (exchange, combined commodity)
        Of futures.
    in_dollars : frozenset of (exchange, combined commodity)
        Amounts are whole US dollars.
    scan_range : mapping of (exchange, product) to {month: amount}
        Loss of one future over the whole scan range.
    settlement : mapping of (exchange, product) to {month: price}
        Only prices in an alignment that we can decode.
    tiers : mapping of combined commodity to ((first month, last month), ...)
    delivery : mapping of combined commodity to {month: amount per delta}
    spreads : tuple of FileSpread
        Delta-based ones with a percentage, in order of priority.
    securities : mapping of CUSIP to (SecurityEquivalent, ...)
        Debt securities that are margined as futures, in the order of the file.
    not_decoded : mapping of str to int
        Number of records by type that are of an unknown layout or method, or of a debt security
        that cannot be read, and are not decoded.
    """

    hash: str
    business_date: np.datetime64
    commodity: Mapping[Key, Key]
    in_dollars: frozenset[Key]
    scan_range: Mapping[Key, Mapping[np.datetime64, float]]
    settlement: Mapping[Key, Mapping[np.datetime64, float]]
    tiers: Mapping[str, tuple[tuple[np.datetime64, np.datetime64], ...]]
    delivery: Mapping[str, Mapping[np.datetime64, float]]
    spreads: tuple[FileSpread, ...]
    securities: Mapping[str, tuple[SecurityEquivalent, ...]]
    not_decoded: Mapping[str, int]

    def check_age(self, as_of: np.datetime64) -> None:
        """Raise InputError if the file is of a day after the as-of date, or too old."""
        if self.business_date > as_of:
            raise InputError(
                f"span file: it is of {self.business_date}, after the as-of date {as_of}"
            )
        if business_days_between(self.business_date, as_of, "bond") > OLDEST_FILE:
            raise InputError(
                f"span file: it is of {self.business_date}, more than {OLDEST_FILE} business days "
                f"before the as-of date {as_of}; give that day's"
            )
