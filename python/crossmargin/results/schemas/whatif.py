"""The tables of what-ifs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from crossmargin.results.schema import TEXT, WHOLE, Column, Schema
from crossmargin.results.schemas.compare import has_difference
from crossmargin.results.schemas.shared import ACCOUNT, CAVEATS, MONEY_COLUMNS, SAVING

WHAT_IFS = Schema("what_ifs", (ACCOUNT, *SAVING, *MONEY_COLUMNS, *CAVEATS))


def _before_and_after(column: Column) -> Iterator[Column]:
    """Return the columns of an impact for one column of what-ifs."""
    for when in ("before", "after"):
        yield replace(
            column,
            name=f"{column.name}_{when}",
            meaning=f"`{column.name}` {when} the trades and moves.",
            evidence=None,
        )
    if has_difference(column):
        yield replace(
            column,
            name=f"{column.name}_difference",
            meaning="After minus before.",
            null="one of the two is null" if column.null else "",
            evidence=None,
        )


_IMPACT = {column.name: tuple(_before_and_after(column)) for column in WHAT_IFS.columns[1:]}

IMPACTS = Schema(
    "impacts",
    (
        Column("question", TEXT, "Its name, as given, or else its number from 1."),
        ACCOUNT,
        *(column for group in _IMPACT.values() for column in group),
    ),
)

INCREMENTS = Schema(
    "increments",
    (
        ACCOUNT,
        Column(
            "part",
            TEXT,
            "`single`: what the leg changes by itself. `pair`: what both legs together change "
            "beyond the sum of each by itself. `remainder`: everything else, so that all rows "
            "add up to the difference between after and before.",
        ),
        Column(
            "leg",
            TEXT,
            "The trade, such as `ZNM25 -500`, or `move ZNU26 300`.",
            null="the remainder",
        ),
        Column("with_leg", TEXT, "The other one of a pair.", null="any other part"),
        *(
            replace(column, meaning=f"What the part adds to `{column.name}`.", evidence=None)
            for column in MONEY_COLUMNS
        ),
    ),
)

IMPACT_TABLE = Schema(
    "impact_table",
    (
        ACCOUNT,
        Column("tenor", TEXT, "`2-Year` to `30-Year` of a benchmark, or the root of a future."),
        Column("instrument", TEXT, "CUSIP or contract."),
        Column("quantity", WHOLE, "What is traded; long is positive.", "USD of face, or contracts"),
        *(
            column
            for name in ("requirement", "offset_rate", "saving", "binding", "capped", "reason")
            for column in _IMPACT[name]
        ),
    ),
)
