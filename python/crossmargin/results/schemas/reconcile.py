"""The tables of a reconciliation: ours beside what the clearing houses report."""

from __future__ import annotations

from dataclasses import replace

from crossmargin.results.schema import FLAG, NUMBER, TEXT, WHOLE, Column, Schema
from crossmargin.results.schemas.shared import ACCOUNT
from crossmargin.results.table import MONEY

_WHO = replace(ACCOUNT, meaning="The accounts of the run, then those that only the report has.")
_CAUSE = Column(
    "cause",
    TEXT,
    "The likeliest cause of the account's breaks: the first that fits of "
    "`crossmargin.analysis.reconciled.causes.CAUSES`.",
    null="there is no break",
)
_DIFFERENCE = Column(
    "difference", NUMBER, "Observed minus ours.", "as `unit`", "one of the two is null"
)
_OURS = Column(
    "ours", NUMBER, "USD to the cent, or the share.", "as `unit`", "unknown, or not in the run"
)
_OBSERVED = Column(
    "observed", NUMBER, "As reported; percent as a share.", "as `unit`", "not reported"
)

RECONCILED_ACCOUNTS = Schema(
    "reconciled_accounts",
    (
        _WHO,
        Column(
            "only_in",
            TEXT,
            "`ours` or `observed` if only that one has the account.",
            null="both have it",
        ),
        Column("is_break", FLAG, "Whether anything of the account breaks."),
        replace(_CAUSE, null="nothing of the account breaks"),
        Column("components", WHOLE, "Components that break."),
        Column(
            "lines",
            WHOLE,
            "Positions that differ from those reported.",
            null="no report of positions was given",
        ),
        Column(
            "largest_difference",
            MONEY,
            "The largest break of an amount, observed minus ours.",
            "USD",
            "no amount breaks",
        ),
        Column("offset_rate", NUMBER, "Ours.", null="the run lacks the account"),
        Column("offset_rate_observed", NUMBER, "As reported, as a share.", null="not reported"),
        Column("reason", TEXT, "Why ours is zero.", null="it is not zero, or not in the run"),
        Column("reason_observed", TEXT, "The reason reported.", null="none is"),
    ),
)

RECONCILED_COMPONENTS = Schema(
    "reconciled_components",
    (
        _WHO,
        Column("component", TEXT, "A column of accounts, or `saving_ficc` and `saving_cme`."),
        Column("unit", TEXT, "`USD` or `share`."),
        _OURS,
        _OBSERVED,
        _DIFFERENCE,
        Column("tolerance", NUMBER, "The largest difference that is no break.", "as `unit`"),
        Column(
            "is_break",
            FLAG,
            "Whether they differ by more, or ours is unknown.",
            null="it is not reported, or only one of the two has the account",
        ),
        replace(_CAUSE, null="it does not break"),
    ),
)

RECONCILED_POSITIONS = Schema(
    "reconciled_positions",
    (
        _WHO,
        Column("report", TEXT, "The report of the position."),
        Column("instrument", TEXT, "CUSIP or contract."),
        replace(
            _OURS,
            meaning="Cross-margined at FICC, long positive; of a contract the futures-equivalents.",
            unit="USD of face, or contracts",
            null="the run has no stages to tell the futures-equivalents",
        ),
        replace(
            _OBSERVED,
            meaning="As reported; zero if it is not.",
            unit="USD of face, or contracts",
            null="",
        ),
        replace(_DIFFERENCE, unit="USD of face, or contracts", null="ours is null"),
        Column("is_break", FLAG, "Whether they differ.", null="ours is null"),
    ),
)
RECONCILIATION_TABLES = (RECONCILED_ACCOUNTS, RECONCILED_COMPONENTS, RECONCILED_POSITIONS)
