"""The tables that compare: two runs, or two ways of revaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from crossmargin.results.schema import NUMBER, TEXT, Column, Schema
from crossmargin.results.schemas.run import ACCOUNTS, COMPONENTS
from crossmargin.results.schemas.shared import ACCOUNT, UNPRICED
from crossmargin.results.table import MONEY

COMPARED = (
    "offset_rate",
    "requirement",
    "saving",
    "reason",
    "saving_is_upper_bound",
    "spread_risk",
)
"""Columns of accounts that a comparison shows side by side."""


def has_difference(column: Column) -> bool:
    """Return whether a comparison shows a column's difference too, as for all numbers."""
    return column.type in (NUMBER, MONEY)


def _side_by_side(column: Column) -> Iterator[Column]:
    """Return the columns of a comparison for one column of accounts."""
    for end in "ab":
        lacks = f"run {end.upper()} lacks the account"
        yield replace(
            column,
            name=f"{column.name}_{end}",
            meaning=f"`{column.name}` of run {end.upper()}.",
            null=f"{lacks}, or it is null there" if column.null else lacks,
            evidence=None,
        )
    if has_difference(column):
        yield replace(
            column,
            name=f"{column.name}_difference",
            meaning="B minus A.",
            null="one of the two is null",
            evidence=None,
        )


COMPARE = Schema(
    "compare",
    (
        replace(ACCOUNT, meaning="The accounts of A in its order, then those that only B has."),
        Column(
            "only_in",
            TEXT,
            "`a` or `b` if only that run has the account.",
            null="both runs have it",
        ),
        *(column for name in COMPARED for column in _side_by_side(ACCOUNTS[name])),
    ),
)

REVALUATION = Schema(
    "revaluation",
    (
        ACCOUNT,
        replace(COMPONENTS["portfolio"], meaning="As in components; only those with positions."),
        Column("v_sensitivity", NUMBER, "FICC-like margin by sensitivities.", "USD", UNPRICED),
        Column("v_full", NUMBER, "FICC-like margin by full revaluation.", "USD", UNPRICED),
        Column("difference", NUMBER, "Full minus sensitivities.", "USD", UNPRICED),
    ),
)
