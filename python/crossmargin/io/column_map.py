"""The columns file: names and units of our columns in a user's own extracts."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from crossmargin.book import schemas
from crossmargin.exceptions import InputError
from crossmargin.files import MAX_TOML, absolute, parse_toml, read_file
from crossmargin.market.curve import TENORS

ColumnsSource: TypeAlias = str | Path | Mapping[str, Any]
"""The path of a TOML file, or its content."""

_SCHEMAS = (
    schemas.POSITIONS,
    schemas.ACCOUNTS,
    schemas.SECURITIES,
    schemas.FIRMS,
    schemas.BASIS,
    schemas.SPREADS,
    schemas.SETTLEMENTS,
    schemas.FIXINGS,
    schemas.SOFR,
    schemas.VOLUMES,
    schemas.OBSERVED_MARGINS,
    schemas.DEPOSITS,
)
_TABLES: dict[str, dict[str, str]] = {
    **{schema.name: {c.name: c.kind for c in schema.columns} for schema in _SCHEMAS},
    "par_yields": {"date": "date", **dict.fromkeys(TENORS, "number")},
}
"""Our columns and their kinds, by the table's name in the file."""
_RATES = {"repo_rate", "coupon_pct", "rate_pct", "spread_pct", *TENORS}
_RATE_UNITS = {"percent": 0, "decimal": 2, "basis point": -2}
_AMOUNT_UNITS = {"one": 0, "thousand": 3, "million": 6}
"""Units, and the power of ten by which their numbers are multiplied."""


@dataclass(frozen=True)
class Origin:
    """The source of one of our columns.

    Attributes
    ----------
    column : str
        The column of the file; empty if a constant is given.
    constant : str
        The constant, as a cell.
    power : int
        Power of ten by which its numbers are multiplied.
    sign : str
        The column that gives the sign of a number; empty for none.
    positive, negative : tuple of str
        The words of that column for each sign.
    values : dict of str to str
        From codes of the file to our values; other cells do not change.
    """

    column: str = ""
    constant: str = ""
    power: int = 0
    sign: str = ""
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ColumnMap:
    """The sources of our columns, by table and column.

    Attributes
    ----------
    label : str
        Its name in messages.
    hash : str
        SHA-256 of the file, or of the dictionary given.
    tables : dict of str to dict of str to Origin
        By the names of our tables and columns.
    path : str
        Absolute path of the file; empty if a dictionary was given.
    """

    label: str
    hash: str
    tables: dict[str, dict[str, Origin]]
    path: str


def read_column_map(source: ColumnsSource) -> ColumnMap:
    """Return the sources of our columns in a user's files.

    Parameters
    ----------
    source
        The path of a TOML file with a table for each input, such as ``[positions]``, and in it
        entries such as ``account = "Acct No"``; or the same as a dictionary.

    Returns
    -------
    ColumnMap

    Raises
    ------
    InputError
        The file cannot be read, or an entry makes no sense; the message names its key.
    """
    if isinstance(source, str | Path):
        label = f"columns file {source}"
        data = read_file(Path(source), limit=MAX_TOML, label=label)
        path = absolute(source)
        given = parse_toml(data, label=label)
    elif isinstance(source, Mapping):
        label, path, given = "columns", "", dict(source)
        data = json.dumps(given, sort_keys=True, default=str).encode()
    else:
        raise TypeError(f"columns: expected a path or a dictionary, not {type(source).__name__}")
    tables: dict[str, dict[str, Origin]] = {}
    for name, entries in given.items():
        if name not in _TABLES:
            _refuse(label, name, f"not an input{_near(name, _TABLES)}")
        if not isinstance(entries, Mapping):
            _refuse(label, name, f"must be a table of columns, [{name}]")
        tables[name] = {
            column: _origin(entry, name, column, f"{label}, `{name}.{column}`")
            for column, entry in entries.items()
        }
    return ColumnMap(label, hashlib.sha256(data).hexdigest(), tables, path)


def _origin(entry: Any, table: str, name: str, key: str) -> Origin:
    known = _TABLES[table]
    if name not in known:
        raise InputError(f"{key}: not a column of this input{_near(name, known)}")
    if isinstance(entry, str):
        entry = {"column": entry}
    if not isinstance(entry, Mapping) or ("column" in entry) == ("constant" in entry):
        raise InputError(
            f"{key}: give the name of a column, or {{ column = ... }}, or {{ constant = ... }}"
        )
    allowed = {"constant"} if "constant" in entry else {"column", "values"}
    if known[name] == "number" and "column" in entry:
        allowed = {"column", "unit", "sign", "positive", "negative"}
    for part in entry.keys() - allowed:
        raise InputError(f"{key}: `{part}` is unknown here; known: {', '.join(sorted(allowed))}")
    for part in entry.keys() & {"column", "sign"}:
        if not _cell(entry[part], key):
            raise InputError(f"{key}: `{part}` is blank; give the name of a column")
    if "constant" in entry:
        return Origin(constant=_cell(entry["constant"], key))
    values = entry.get("values", {})
    if not isinstance(values, Mapping):
        raise InputError(f"{key}: give values as {{ theirs = ours }}")
    signs = [_words(entry.get(part, []), f"{key}.{part}") for part in ("positive", "negative")]
    if ("sign" in entry) != all(signs) or ("sign" in entry) != any(signs):
        raise InputError(f"{key}: give sign, positive and negative together")
    if set(signs[0]) & set(signs[1]):
        raise InputError(f"{key}: a word is both positive and negative; give it once")
    return Origin(
        column=_cell(entry["column"], key),
        power=_power(entry.get("unit"), name, key),
        sign=_cell(entry.get("sign", ""), key),
        positive=signs[0],
        negative=signs[1],
        values={str(word).strip(): _cell(ours, key) for word, ours in values.items()},
    )


def _power(unit: Any, name: str, key: str) -> int:
    units = _RATE_UNITS if name in _RATES else _AMOUNT_UNITS
    if unit is not None and unit not in units:
        raise InputError(f"{key}: unit {unit!r}: give one of {', '.join(units)}")
    return 0 if unit is None else units[unit]


def _cell(value: Any, key: str) -> str:
    """Return a TOML value as a cell of a file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float | datetime.date):
        return str(value).strip()
    raise InputError(f"{key}: {value!r:.60} cannot be a cell; give a text or a number")


def _words(value: Any, key: str) -> tuple[str, ...]:
    return tuple(_cell(word, key) for word in (value if isinstance(value, list) else [value]))


def _near(name: str, known: Mapping[str, Any]) -> str:
    import difflib  # only a mistake needs it

    close = difflib.get_close_matches(name[:100], known, n=1)
    return f"; do you mean `{close[0]}`?" if close else f"; known: {', '.join(known)}"


def _refuse(label: str, key: str, why: str) -> NoReturn:
    raise InputError(f"{label}, `{key}`: {why}")
