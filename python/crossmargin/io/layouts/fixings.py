"""Overnight rates as the New York Fed and FRED publish them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.exceptions import InputError
from crossmargin.io.layouts.headers import blanked, plain_names, text

_NOT_USED = ("BGCR", "TGCR", "OBFR", "SOFRAI")
"""The New York Fed's other rates, and its index of SOFR."""
_FRED_SERIES = {"sofr": "SOFR", "effr": "EFFR", "dff": "EFFR"}


def new_york_fed(table: pa.Table) -> tuple[pa.Table, str] | None:
    """Read the New York Fed's reference rates: a row for each day and rate type."""
    date = text(table, "effectivedate")
    kind = text(table, "ratetype", "type")
    rate = text(table, "rate", "percentrate")
    if date is None or kind is None or rate is None:
        return None
    index = pc.utf8_upper(kind)
    other = columns.flags(pc.is_in(index, value_set=columns.text_column(_NOT_USED)))
    left_out = f"; {other.sum()} rows of other rates left out" if other.any() else ""
    # A footnote below the table is in the first column.
    footnote = columns.flags(pc.equal(pc.binary_join_element_wise(kind, rate, ""), ""))
    return (
        blanked({"date": date, "index": index, "rate_pct": rate}, ~(other | footnote)),
        f"read as the New York Fed's download of reference rates{left_out}",
    )


def fred_rates(table: pa.Table) -> tuple[pa.Table, str] | None:
    """Read FRED's download of SOFR, EFFR or DFF: a column for each series.

    DFF is EFFR for every calendar day. A weekend or holiday repeats the last rate, as a monthly
    average counts it, so all its rows are used.
    """
    date = text(table, "observationdate", "date")
    named = plain_names(table)
    series = [name for name in _FRED_SERIES if name in named]
    if date is None or not series or "index" in named:
        return None
    if {"effr", "dff"} <= set(series):
        raise InputError("fixings: EFFR and DFF are the same rate; keep one of the columns")
    index = [pa.repeat(_FRED_SERIES[name], len(table)) for name in series]
    rate = [text(table, name) for name in series]
    shown = ", ".join(named[name] for name in series)
    return (
        pa.table(
            {
                "date": pa.chunked_array([date] * len(series)),
                "index": pa.chunked_array(index),
                "rate_pct": pa.chunked_array(rate),
            }
        ),
        f"read as FRED's download of {shown}",
    )
