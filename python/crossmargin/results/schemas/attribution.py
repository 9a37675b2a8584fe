"""The tables of an attribution."""

from __future__ import annotations

from dataclasses import replace

from crossmargin.results.schema import DATE, NUMBER, TEXT, WHOLE, Column, Schema
from crossmargin.results.schemas.run import ACCOUNTS as RUN_ACCOUNTS
from crossmargin.results.schemas.run import POSITIONS
from crossmargin.results.schemas.shared import ACCOUNT, FIRM, SAVING, UNPRICED
from crossmargin.results.table import MONEY

_STEP_MEANINGS = (
    ("positions", "The trades of the later run take the place of the earlier ones."),
    ("time", "The as-of date of the later run."),
    ("market", "Its curves, fixings and prices of securities."),
    ("scenarios_out", "Scenarios that it no longer has are left out."),
    ("scenarios_in", "Its new scenarios come."),
    ("scenario_sizes", "All other scenarios, and the history, as it has them."),
    (
        "other_inputs",
        "Its accounts, firms, securities, volumes, observed margins, own P&L and SPAN file.",
    ),
    ("policy", "Its policy."),
    ("not_told_apart", "What the steps that are null come to together."),
)
_TOLD = ("offset_rate", "binding", "capped", "reason")
_NOT_BOTH = "it is unknown in one of the two runs"
_BETWEEN = "it is unknown before or after the step"


def _change_parts(null: str) -> tuple[Column, ...]:
    """Return the columns of a change in one step, by clearing house."""
    return (
        Column("requirement", MONEY, "Change of the requirement.", "USD", null),
        Column("ficc", MONEY, "The part of it at FICC.", "USD", null),
        Column("cme", MONEY, "The part of it at CME.", "USD", null),
        Column("other_ccps", MONEY, "The part of it at other clearing houses.", "USD", null),
    )


_STEP = Column(
    "step",
    TEXT,
    "What is taken from the later run: `positions`, `time`, `market`, `scenarios out`, "
    "`scenarios in`, `scenario sizes`, `other inputs`, `policy`; then `not told apart`.",
)

AGREED = (*(column for column in SAVING if column.name in _TOLD), RUN_ACCOUNTS["rows_rejected"])
"""What was agreed for an account in each of the runs, and why its offset may be lost."""


def _on_both_sides(column: Column) -> tuple[Column, Column]:
    """Return the columns of a cell of the earlier run and of the later one."""
    null = "the run has no such account" + (f", or {column.null}" if column.null else "")
    earlier, later = (
        replace(column, name=f"{column.name}_{side}", meaning=meaning, null=null)
        for side, meaning in (
            ("before", f"`{column.name}` of the accounts in the earlier run."),
            ("after", f"`{column.name}` of the accounts in the later run."),
        )
    )
    return earlier, later


ATTRIBUTION_BOOK = Schema(
    "attribution_book",
    (
        _STEP,
        Column("what", TEXT, "What changed, in words.", null="nothing did"),
        Column("accounts", WHOLE, "Accounts whose requirement changes in the step."),
        *_change_parts("the book is one account, unknown before or after the step"),
    ),
)

ATTRIBUTION_ACCOUNTS = Schema(
    "attribution_accounts",
    (
        replace(
            ACCOUNT,
            meaning="Those of the earlier run in its order, then those that only the later one "
            "has.",
        ),
        Column(
            "only_in",
            TEXT,
            "`before` or `after` if only that run has the account; it counts as zero in the other.",
            null="both runs have it",
        ),
        Column("before", MONEY, "Requirement in the earlier run.", "USD", UNPRICED),
        Column("after", MONEY, "Requirement in the later run.", "USD", UNPRICED),
        Column("change", MONEY, "After minus before: the sum of the steps.", "USD", _NOT_BOTH),
        *(
            Column(
                name,
                MONEY,
                meaning,
                "USD",
                _NOT_BOTH if name == "not_told_apart" else _BETWEEN,
            )
            for name, meaning in _STEP_MEANINGS
        ),
        *(side for column in AGREED for side in _on_both_sides(column)),
    ),
)

ATTRIBUTION = Schema("attribution", (ACCOUNT, _STEP, *_change_parts(_BETWEEN)))

ATTRIBUTION_POSITIONS = Schema(
    "attribution_positions",
    (
        ACCOUNT,
        replace(FIRM, null="it is the account's own"),
        POSITIONS["ccp"],
        POSITIONS["xm"],
        POSITIONS["instrument"],
        POSITIONS["kind"],
        Column("before", WHOLE, "Net quantity in the earlier run.", "USD of face, or contracts"),
        Column("after", WHOLE, "Net quantity in the later run.", "USD of face, or contracts"),
        Column("change", WHOLE, "After minus before.", "USD of face, or contracts"),
        Column(
            "change_dv01",
            NUMBER,
            "What the change gains when the curve falls by one basis point, on the earlier run's "
            "market where it has the instrument.",
            "USD",
            "no model prices the instrument",
        ),
    ),
)

ATTRIBUTION_SCENARIOS = Schema(
    "attribution_scenarios",
    (
        Column("date", DATE, "The end date of the scenario's move."),
        Column("change", TEXT, "`left` if only the earlier run has it, `came` if only the later."),
        Column("horizon", WHOLE, "The move's business rows of the history."),
    ),
)
