"""Positions in listed products: the exchange's positions CSV, back offices' rows, FIXML reports.

Each row names an account, a product by one or more codes, an expiry, and a quantity: net, long and
short, or with a side.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Integer, Mask
from crossmargin.io.layouts.contracts import Expiries, Row, instrument_of
from crossmargin.io.layouts.headers import blanked, plain_names, text
from crossmargin.io.layouts.quantities import differing, from_long_and_short, from_side, values
from crossmargin.io.layouts.reports import NAMES, blank_rows, constant, rows_of, stamp_of
from crossmargin.io.tables import Given

CODES = (
    *("cccode", "clearingcode", "clearingproductcode", "contractcode", "productcode", "productid"),
    *("product", "commoditycode", "commodity", "futurescode", "globexcode", "globexsymbol"),
    *("globexproductcode", "tickersymbol", "symbol", "ticker", "rootsymbol", "root"),
    *("bloombergcode", "bloombergroot"),
)
"""Columns of product codes; each row's is the first that is a product of ours."""
SPELLINGS: dict[str, tuple[str, ...]] = {
    "account": NAMES["account"],
    "expiry": (
        *("periodcode", "contractexpiry", "contractmonth", "contractperiod", "contractmonthyear"),
        *("maturitymonthyear", "mmy", "deliverymonth", "contractdate", "expiry", "expirymonth"),
        *("expiration", "expirationmonth", "expirydate", "expirationdate", "maturitydate"),
        *("prompt", "promptdate", "period"),
    ),
    "net": (
        *("quantity", "netpositions", "netposition", "netqty", "netquantity", "netlsbalance"),
        *("net", "positionqty", "positionquantity", "position", "qty", "contracts", "lots"),
    ),
    "long": ("long", "longqty", "longquantity", "longposition", "longpositions", "qtylong"),
    "short": ("short", "shortqty", "shortquantity", "shortposition", "shortpositions", "qtyshort"),
    "side": ("side", "buysell", "buysellindicator", "bs", "longshort", "ls", "direction"),
    "exchange": ("exchange", "exch", "exchangecode", "exchangeid", "exchangemic", "mic"),
    "type": (
        *("contracttype", "margintype", "securitytype", "sectype", "instrumenttype"),
        *("instrumentclass", "type", "producttype"),
    ),
    "put_call": ("putcall", "callput", "callputflag", "putcallflag", "putcallindicator", "cp"),
    "strike": ("strike", "strikeprice", "contractstrike", "exerciseprice"),
    "currency": ("currency", "ccy", "currencycode", "curr", "productcurrency"),
    "xm": NAMES["xm"],
}
"""Spellings of the other columns, in plain letters; the first that a file has is read."""
_EXCHANGE_CSV = {"acctid", "cccode", "periodcode", "netpositions"}
_NO_INSTRUMENT = Row("", "", "", "", "", "", ("?",))


@dataclass(frozen=True)
class _Found:
    """The file's own names of the columns that are read, and of others of the same meaning."""

    codes: tuple[str, ...]
    column: dict[str, str]
    passed_over: dict[str, tuple[str, ...]]


def is_listed(table: pa.Table) -> bool:
    """Tell whether a table is a report of positions in listed products."""
    return _find(table) is not None


def listed(given: Given) -> Given | None:
    """Read a report of positions in listed products; None if it is another table.

    Interest-rate futures margined here are kept. So are options on them, contracts of another
    currency and what is unclear, each under a name that is refused. Flat rows and other products
    are left out.
    """
    table = given.table
    found = _find(table)
    if found is None:
        return None
    stamp = stamp_of(table)
    quantity, notes = _quantity(given, found)
    row, which, expiries = _rows(table, found)
    notes += expiries.notes
    read = [instrument_of(one, expiries.symbol) for one in row]
    instrument = columns.chosen([name for name, _ in read], which)
    code = [other for _, other in read]
    other = np.array([bool(word) for word in code], bool)[which]
    blank = blank_rows(table)
    empty = columns.flags(blank)
    flat = columns.numbers(values(quantity, point=given.point).value) == 0.0
    keep = ~(other | flat | empty)
    cells = {
        "account": columns.plain(columns.one_array(table[found.column["account"]])),
        "kind": constant("future", blank),
        "instrument": instrument,
        "quantity": columns.plain(columns.one_array(quantity)),
        "xm": _xm(table, found, blank),
    }
    others = {
        name: columns.plain(columns.one_array(table[name]))
        for name in table.column_names
        if name not in {*found.codes, *found.column.values(), *cells, *_stamped(table)}
    }
    notes = [
        _head(table, found, f" of {stamp}" if stamp else ""),
        *notes,
        *_left_out(code, which, other & ~flat & ~empty, int((flat & ~empty).sum())),
    ]
    made = blanked({**cells, **others}, keep)
    return replace(given, table=made, notes=(*given.notes, "; ".join(notes)), stamp=stamp)


def _find(table: pa.Table) -> _Found | None:
    """Return the columns of a report, None if a needed one is missing."""
    named = plain_names(table)
    column, passed = {}, {}
    for name, spellings in SPELLINGS.items():
        there = [named[spelling] for spelling in spellings if spelling in named]
        if there:
            column[name] = there[0]
            passed[name] = (*_same_name(table, there[0]), *there[1:])
    codes = tuple(named[spelling] for spelling in CODES if spelling in named)
    sized = "net" in column or {"long", "short"} <= column.keys()
    if not codes or not sized or not {"account", "expiry"} <= column.keys():
        return None
    return _Found(codes, column, {name: other for name, other in passed.items() if other})


def _same_name(table: pa.Table, name: str) -> list[str]:
    """Return the other columns whose name differs in case, spaces or signs only."""
    (plain,) = plain_names(table.select([name]))
    return [
        other
        for other in table.column_names
        if other != name and plain in plain_names(table.select([other]))
    ]


def _quantity(given: Given, found: _Found) -> tuple[columns.Column, list[str]]:
    """Return the signed contracts of each row, as the file has them or as text."""
    table, column = given.table, found.column
    pair = {"long", "short"} <= column.keys()
    made: pa.Array | None = None
    notes: list[str] = []
    if pair:
        made, notes = from_long_and_short(
            table[column["long"]], table[column["short"]], point=given.point
        )
    if "net" not in column:
        assert made is not None
        return made, notes
    net = table[column["net"]]
    if made is not None:
        count = differing(columns.numbers(values(net, point=given.point).value), made)
        notes = [f"`{column['net']}` is read, not `{column['long']}` and `{column['short']}`"]
        if count:
            notes[0] += f", from which it differs in {rows_of(count)}: check them"
        return net, notes
    if "side" in column:
        side = text(table, *plain_names(table.select([column["side"]])))
        return from_side(net, side, column["side"], point=given.point)
    return net, []


def _rows(table: pa.Table, found: _Found) -> tuple[list[Row], Integer, Expiries]:
    """Return the different instruments of a report, the index of each row's, and the expiries."""
    blank = pa.repeat(columns.scalar(""), len(table))

    def cells(name: str | None) -> pa.StringArray:
        if name is None:
            return blank
        return pc.utf8_upper(text(table, *plain_names(table.select([name]))))

    names = ("exchange", "type", "put_call", "strike", "currency", "expiry")
    parts = [cells(found.column.get(name)) for name in names]
    parts += [cells(name) for name in found.codes]
    which, different = columns.encoded(pc.binary_join_element_wise(*parts, "\0"))
    # A cell may hold the separator; it then names no instrument.
    split = [str(one).split("\0") for one in different]
    row = [_row(one) if len(one) == len(parts) else _NO_INSTRUMENT for one in split]
    header = next(p for p, own in plain_names(table).items() if own == found.column["expiry"])
    return row, which, Expiries(sorted({one.expiry for one in row}), header)


def _row(cells: list[str]) -> Row:
    exchange, kind, put_call, strike, currency, expiry, *codes = cells
    return Row(exchange, kind, put_call, strike, currency, expiry, tuple(codes))


def _xm(table: pa.Table, found: _Found, blank: pa.BooleanArray) -> pa.Array:
    if "xm" in found.column:
        return columns.plain(columns.one_array(table[found.column["xm"]]))
    return constant("false", blank)


def _stamped(table: pa.Table) -> set[str]:
    named = plain_names(table)
    spellings = (*NAMES["business_date"], *NAMES["cycle"], *NAMES["run"])
    return {named[spelling] for spelling in spellings if spelling in named}


def _head(table: pa.Table, found: _Found, stamp: str) -> str:
    """Return the note on which columns are read, and which of the same meaning are not."""
    kind = "positions in listed products"
    if plain_names(table).keys() >= _EXCHANGE_CSV:
        kind = "the exchange's positions CSV"
    codes = ", else ".join(f"`{name}`" for name in found.codes)
    column = found.column
    size = [column[name] for name in ("net",) if name in column] or [
        column["long"],
        column["short"],
    ]
    parts = [
        f"read as {kind}{stamp}: account `{column['account']}`",
        f"product {codes}",
        f"expiry `{column['expiry']}`",
        f"contracts {' less '.join(f'`{name}`' for name in size)}",
        f"xm `{column['xm']}`"
        if "xm" in column
        else "xm is not in the file: false (state another in a columns file)",
    ]
    passed = [name for names in found.passed_over.values() for name in names]
    passed = [name for name in passed if name not in found.codes]
    if passed:
        parts.append(f"not {', '.join(f'`{name}`' for name in passed)}")
    return ", ".join(parts)


def _left_out(code: list[str], which: Integer, other: Mask, flat: int) -> list[str]:
    """Return notes on the rows left out: of other products, by code, and flat ones."""
    notes = []
    count = Counter({code[n]: 0 for n in np.unique(which[other]).tolist()})
    for number, rows in zip(*np.unique(which[other], return_counts=True), strict=True):
        count[code[int(number)]] += int(rows)
    if count:
        told = ", ".join(f"{word} ({rows:,})" for word, rows in sorted(count.items()))
        notes.append(
            f"{rows_of(count.total())} of products that are not margined here left out: {told}"
        )
    if flat:
        notes.append(f"{rows_of(flat)} without open contracts left out")
    return notes
