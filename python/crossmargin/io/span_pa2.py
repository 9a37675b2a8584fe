"""SPAN risk parameter files in the expanded positional format (`.pa2`).

Only fields that a source confirms are decoded. The source is CME's own "Risk Parameter File Layouts
for the Positional Formats" (pubspan wiki, pages "Type 2, 3, 4, 6, 8, B, P - Expanded"), read in
stored copies. Where no copy of a page was found, it is an open-source reader whose offsets agree
with records written by CME.

- `0`, business date: the open-source reader.
- `P`, decimal locator and alignment code of the settlement price: CME, Type P.
- `2`, combined commodity, risk exponent, currency, products: CME, Type 2.
- `3`, tiers of method 10: CME, Type 3.
- `4`, charges of method 10 for deltas left in outrights, by delivery month: CME, Type 4.
- `6`, priority, credit rate, legs, methods: CME, Type 6.
- `91`, debt securities margined as futures: CME, Type 9. That the factor is in contracts for each
  1,000 USD of face is concluded from its note. `92` has a description and a factor for long bonds,
  and is not decoded.
- `81`, `82`, key of a contract: CME, Type 8. The offsets of array values 11 to 14, the whole scan
  range, are those of the open-source reader. So is the offset of the seven-digit settlement price,
  which ends before the sign in column 118 (CME, advisory 10-147).

All other records are counted but not decoded, among them charges between tiers (`C`), whose page
was not found.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np

from crossmargin.exceptions import InputError
from crossmargin.io.tables import read_bytes
from crossmargin.margin.cme.span_file import FileSpread, Key, SecurityEquivalent, SpanFile
from crossmargin.market.calendars import FIRST_YEAR, LAST_YEAR

INPUT = "span file"
"""Name of the input in messages."""
RECORDS = frozenset((*"01234569BCEPRSTVXYZ", "81", "82", "91", "92"))
FUTURE = "FUT"
LEGS = ((16, 20, 26, 33), (34, 38, 44, 51), (52, 56, 62, 69), (70, 74, 80, 87))
"""Columns where exchange, commodity, ratio and side begin, for each leg of a spread."""
METHOD_10 = "10"
LARGEST_FACTOR = 1.0
"""Most contracts for each 1,000 USD of face."""
MOST_PLACES = 15
"""Most decimal places of a settlement price, which has seven digits."""
PLAIN = ("", "01")
"""Spread methods that are read as delta-based; 04 is scanning-based, 20 is by tier (CME)."""
_EIGHTHS = {0: 0, 1: 1, 2: 2, 3: 3, 5: 4, 6: 5, 7: 6, 8: 7}
"""A price in eighths ends in the first decimal of the eighths: .125 is 1, .5 is 5."""


def read_span_pa2(path: str | Path) -> SpanFile:
    """Return the content of a file of SPAN risk parameters.

    Parameters
    ----------
    path : str or Path
        The file: plain, gzip, or in a zip archive as the exchange publishes it.

    Returns
    -------
    SpanFile

    Raises
    ------
    InputError
        It is not such a file, or a record cannot be read; the message gives its line.
    """
    return parse_span_pa2(read_bytes(Path(path), name=INPUT), name=f"{INPUT} {path}")


def parse_span_pa2(data: bytes, *, name: str = INPUT) -> SpanFile:
    """Return the content of a file from its bytes; see `read_span_pa2`."""
    reader = _Reader(name)
    for number, line in enumerate(io.BytesIO(data), start=1):
        text = line.rstrip(b"\r\n\x1a ")
        if text:
            reader.record(number, text)
    return reader.result(hashlib.sha256(data).hexdigest())


def settlement_price(raw: int, locator: int, alignment: str) -> float | None:
    """Return a price from its digits.

    Parameters
    ----------
    raw : int
        The seven digits.
    locator : int
        Decimal places.
    alignment : str
        `C`: points, 32nds and eighths of them; `0`: points and eighths; blank: decimal.

    Returns
    -------
    float or None
        None for any other alignment code.

    Raises
    ------
    ValueError
        The digits are not such a price: the last digit of eighths is never 4 or 9.
    """
    if alignment == "":
        return float(raw) / 10.0**locator
    if (alignment, locator) not in (("C", 3), ("0", 3)):
        return None
    whole, last = divmod(raw, 10)
    if last not in _EIGHTHS:
        raise ValueError(f"price {raw:07d} ends in {last}, which is not an eighth")
    if alignment == "0":
        return whole + _EIGHTHS[last] / 8.0
    points, ticks = divmod(whole, 100)
    if ticks > 31:
        raise ValueError(f"price {raw:07d} has {ticks} 32nds")
    return points + (ticks + _EIGHTHS[last] / 8.0) / 32.0


class _Record:
    """One line, its fields by offset."""

    def __init__(self, text: str) -> None:
        self._text = text

    def text(self, start: int, stop: int) -> str:
        return self._text[start:stop].strip()

    def number(self, start: int, stop: int, what: str) -> int:
        field = self._text[start:stop]
        if len(field) < stop - start or not (field.isascii() and field.isdigit()):
            raise ValueError(f"{what}, columns {start + 1} to {stop}, is {field!r}")
        return int(field)

    def optional(self, start: int, stop: int, what: str) -> int:
        """Return a number, zero if the field is blank."""
        return self.number(start, stop, what) if self.text(start, stop) else 0

    def month(self, start: int, what: str) -> np.datetime64:
        number = self.number(start, start + 6, what)
        year, month = divmod(number, 100)
        if not (1950 <= year <= 2150 and 1 <= month <= 12):
            raise ValueError(f"{what}, columns {start + 1} to {start + 6}, is {number:06d}")
        return np.datetime64(f"{year:04d}-{month:02d}", "M")


class _Reader:
    """Reads the records of a file one by one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._date: np.datetime64 | None = None
        self._commodity: dict[Key, Key] = {}
        self._in_dollars: set[Key] = set()
        self._format: dict[Key, tuple[int, str]] = {}
        self._scan: dict[Key, dict[np.datetime64, float]] = {}
        self._raw: dict[Key, dict[np.datetime64, tuple[int, int, int]]] = {}
        self._tiers: dict[str, tuple[tuple[np.datetime64, np.datetime64], ...]] = {}
        self._delivery: dict[str, dict[np.datetime64, float]] = {}
        self._spreads: list[FileSpread] = []
        self._securities: dict[str, tuple[SecurityEquivalent, ...]] = {}
        self._left: Counter[str] = Counter()
        self._decode = {
            "P": self._price_format,
            "2": self._combined_commodity,
            "3": self._tiers_of,
            "4": self._delivery_of,
            "6": self._spread,
        }

    def record(self, number: int, line: bytes) -> None:
        kind = line[:2].decode("latin-1").strip()
        if kind not in RECORDS or (self._date is None) != (kind == "0"):
            raise InputError(
                f"{self._name}: line {number}: {line[:20]!r} is not a record of a SPAN file in "
                "the expanded format; give a .pa2 file"
            )
        if kind in ("81", "82"):
            # Most records are options; they are skipped before anything is decoded.
            if line[25:28] != b"FUT":
                self._left[kind] += 1
                return
        elif kind == "91":
            self._security(line)
            return
        elif kind not in self._decode and kind != "0":
            self._left[kind] += 1
            return
        try:
            record = _Record(line.decode("ascii"))
            if kind == "0":
                self._date = _day(record)
            elif kind in self._decode:
                self._decode[kind](record)
            else:
                self._future(record, number, whole=kind == "82")
        except ValueError as error:
            reason = "is not ASCII" if isinstance(error, UnicodeError) else error
            raise InputError(f"{self._name}: line {number}: record {kind}: {reason}") from None

    def result(self, digest: str) -> SpanFile:
        if self._date is None:
            raise InputError(f"{self._name}: the file holds no record; give a SPAN file (.pa2)")
        return SpanFile(
            hash=digest,
            business_date=self._date,
            commodity=self._commodity,
            in_dollars=frozenset(self._in_dollars),
            scan_range=self._scan,
            settlement=self._settlements(),
            tiers=self._tiers,
            delivery=self._delivery,
            spreads=tuple(sorted(self._spreads, key=lambda spread: spread.priority)),
            securities=self._securities,
            not_decoded=dict(sorted(self._left.items())),
        )

    def _price_format(self, record: _Record) -> None:
        if record.text(15, 18) != FUTURE:
            return
        negative = record.text(33, 36).startswith("-")
        locator = -1 if negative else record.number(33, 36, "the decimal locator")
        if not 0 <= locator <= MOST_PLACES:
            self._left["P"] += 1
            return
        key = record.text(2, 5), record.text(5, 15)
        self._format[key] = locator, record.text(39, 40)

    def _combined_commodity(self, record: _Record) -> None:
        exchange = record.text(2, 5)
        combined = exchange, record.text(6, 12)
        scaled = record.optional(12, 13, "the risk exponent") != 0
        for at in range(22, 118, 16):
            if record.text(at + 10, at + 13) == FUTURE:
                self._commodity[exchange, record.text(at, at + 10)] = combined
                scaled |= record.text(at + 13, at + 14) not in ("", "0")
        if record.text(13, 16) == "USD" and not scaled:
            self._in_dollars.add(combined)

    def _tiers_of(self, record: _Record) -> None:
        if record.text(8, 10) != METHOD_10:
            self._left["3"] += 1
            return
        tiers = []
        for at in range(10, 66, 14):
            if record.optional(at, at + 2, "a tier's number"):
                tiers.append((record.month(at + 2, "a month"), record.month(at + 8, "a month")))
        commodity = record.text(2, 8)
        self._tiers[commodity] = (*self._tiers.get(commodity, ()), *tiers)

    def _delivery_of(self, record: _Record) -> None:
        if record.text(8, 10) != METHOD_10:
            self._left["4"] += 1
            return
        commodity = record.text(2, 8)
        months = self._delivery.setdefault(commodity, {})
        for at in (12, 34):
            if record.optional(at, at + 2, "a delivery month's number"):
                amount = record.number(at + 15, at + 22, "the charge of outrights")
                month = record.month(at + 2, "a month")
                if month in months:
                    raise ValueError(f"{commodity} of {month} appears twice in the file")
                months[month] = float(amount)

    def _spread(self, record: _Record) -> None:
        priority = record.number(5, 9, "the priority")
        # Credit method F is an amount, not a share.
        if record.text(88, 90) not in PLAIN or record.text(100, 101) not in ("", "W"):
            self._left["6"] += 1
            return
        rate = record.number(9, 16, "the credit rate") / 1e6
        if rate > 1.0:
            raise ValueError(f"the credit rate is {100.0 * rate} percent")
        legs = []
        for exchange, commodity, ratio, side in LEGS:
            if not record.text(commodity, ratio):
                continue
            of_side = record.text(side, side + 1)
            if of_side not in ("A", "B"):
                raise ValueError(f"the side of a leg, column {side + 1}, is {of_side!r}")
            deltas = record.number(ratio, side, "a leg's ratio") / 1e4
            if deltas == 0.0:
                raise ValueError("a leg's ratio is zero")
            key = record.text(exchange, exchange + 3), record.text(commodity, ratio)
            legs.append((key, deltas, of_side))
        self._spreads.append(FileSpread(priority, rate, tuple(legs)))

    def _security(self, line: bytes) -> None:
        """Read a debt security, or count it: the file is of use without it."""
        try:
            record = _Record(line.decode("ascii"))
            cusip = record.text(31, 46)
            factor = record.number(63, 72, "the conversion factor") / 1e7
            target = record.text(2, 5), record.text(7, 17)
            one = SecurityEquivalent(target, record.month(17, "the target month"), factor)
            # Maturity and coupon are not used, but a record without them is none of this kind.
            _date(record, 50, "the maturity")
            record.number(58, 63, "the coupon")
        except ValueError:
            self._left["91"] += 1
            return
        before = self._securities.get(cusip, ())
        if (
            len(cusip) == 9
            and cusip.isalnum()
            and record.text(46, 49) in ("", "USD")
            and 0.0 < factor <= LARGEST_FACTOR
            and all((one.target, one.month) != (other.target, other.month) for other in before)
        ):
            self._securities[cusip] = (*before, one)
        else:
            self._left["91"] += 1

    def _future(self, record: _Record, line: int, *, whole: bool) -> None:
        month = record.month(29, "the contract month")
        if not whole or record.text(35, 37):
            # The first record has only parts of the range; contracts of a single day are skipped.
            return
        key = record.text(2, 5), record.text(5, 15)
        moves = [record.number(at, at + 5, "an array value") for at in range(60, 84, 6)]
        ranges = self._scan.setdefault(key, {})
        if month in ranges:
            raise ValueError(f"{key[1]} of {month} appears twice in the file")
        ranges[month] = float(max(moves))
        if record.text(110, 117):
            sign = -1 if record.text(117, 118) == "-" else 1
            raw = record.number(110, 117, "the settlement price")
            self._raw.setdefault(key, {})[month] = raw, sign, line

    def _settlements(self) -> dict[Key, dict[np.datetime64, float]]:
        prices: dict[Key, dict[np.datetime64, float]] = {}
        for key, months in self._raw.items():
            for month, (raw, sign, line) in months.items():
                try:
                    price = settlement_price(raw, *self._format.get(key, (0, "?")))
                except ValueError as error:
                    raise InputError(f"{self._name}: line {line}: record 82: {error}") from None
                if price is not None:
                    prices.setdefault(key, {})[month] = sign * price
        return prices


def _day(record: _Record) -> np.datetime64:
    date = _date(record, 8, "the business date")
    if not FIRST_YEAR <= int(str(date)[:4]) <= LAST_YEAR:
        raise ValueError(f"the business date, columns 9 to 16, is {str(date).replace('-', '')}")
    return date


def _date(record: _Record, start: int, what: str) -> np.datetime64:
    number = record.number(start, start + 8, what)
    year, month, day = number // 10000, number // 100 % 100, number % 100
    with suppress(ValueError):
        return np.datetime64(f"{year:04d}-{month:02d}-{day:02d}")
    raise ValueError(f"{what}, columns {start + 1} to {start + 8}, is {number:08d}")
