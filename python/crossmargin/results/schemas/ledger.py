"""The tables of the ledger: what it keeps of a day's steps, and what it answers with."""

from __future__ import annotations

from dataclasses import replace

from crossmargin.results.schema import DATE, TEXT, WHOLE, Column, Schema
from crossmargin.results.schemas.allocation import BOOKINGS, TRANSFERS
from crossmargin.results.schemas.calls import CALLS
from crossmargin.results.schemas.run import ACCOUNTS
from crossmargin.results.schemas.shared import ACCOUNT, amount
from crossmargin.results.table import MONEY

_LEFT_OUT = ("unused_saving", "saving_is_upper_bound", "spread_risk", "ficc_role")
SAVINGS_KEPT = Schema(
    "savings_kept", tuple(column for column in ACCOUNTS.columns if column.name not in _LEFT_OUT)
)

KEPT = {
    "calls": CALLS,
    "savings": SAVINGS_KEPT,
    "transfers": TRANSFERS,
    "bookings": BOOKINGS,
}
"""The tables that the ledger keeps, by name: their columns as they are recorded."""

_RECORD = (
    Column("record", WHOLE, "The number of the step's record, from 1, in the order of recording."),
    Column("day", DATE, "The day that is margined."),
    Column("cycle", TEXT, "`ITD`, `CUR`, `EOD` or `EODXM`."),
    Column("run", WHOLE, "The run of the cycle, from 1."),
)
_UNDER = (
    Column("recorded_at", TEXT, "When it was recorded, UTC, in ISO 8601."),
    Column("policy", TEXT, "The policy's name."),
    Column("policy_hash", TEXT, "SHA-256 of the policy."),
    Column("inputs_hash", TEXT, "SHA-256 of the names and hashes of all inputs."),
)

LEDGER_STEPS = Schema(
    "ledger_steps",
    (
        *_RECORD,
        Column("step", TEXT, "The step of the cycle, such as `savings`."),
        *_UNDER,
        Column("inputs", TEXT, "Name and SHA-256 of each input, as JSON."),
        Column("outputs", TEXT, "Name and SHA-256 of each file that the step wrote, as JSON."),
        Column("tables", TEXT, "Rows and hash of each table in the ledger, as JSON."),
        Column(
            "late",
            TEXT,
            "The clearing houses whose figures were late, separated by commas.",
            null="none was",
        ),
        Column("fallback", TEXT, "The rule applied for those that were late.", null="none was"),
        Column(
            "adjusts", WHOLE, "The record of `EOD` that an `EODXM` adjusts.", null="there is none"
        ),
        Column("version", TEXT, "The version of crossmargin."),
        Column("run_id", TEXT, "The run behind the step."),
        Column("hash_before", TEXT, "The hash of the record before; empty for the first."),
        Column("hash", TEXT, "SHA-256 of this record and `hash_before`."),
    ),
)

CHANGED = ("required_ficc", "required_cme", "collected", "call")
"""The figures of a call that its row also gives as an adjustment of `EOD`."""
NOTHING_TO_ADJUST = "it adjusts no record, or either figure is unknown"

LEDGER_CALLS = Schema(
    "ledger_calls",
    (
        *_RECORD,
        *CALLS.columns,
        Column(
            "adjusts",
            WHOLE,
            "The record of `EOD` that this one adjusts.",
            null="it adjusts none, or the account is not in that record",
        ),
        *(
            amount(
                f"{name}_change", f"`{name}` less that of the record it adjusts.", NOTHING_TO_ADJUST
            )
            for name in CHANGED
        ),
        *_UNDER,
    ),
)

LEDGER_SAVINGS = Schema("ledger_savings", (*_RECORD, *SAVINGS_KEPT.columns, *_UNDER))
LEDGER_TRANSFERS = Schema("ledger_transfers", (*_RECORD, *TRANSFERS.columns, *_UNDER))
LEDGER_BOOKINGS = Schema("ledger_bookings", (*_RECORD, *BOOKINGS.columns, *_UNDER))

LAST_GOOD = Schema(
    "last_good",
    (
        ACCOUNT,
        replace(ACCOUNTS["offset_rate"], meaning="The last offset rate that both gave."),
        replace(ACCOUNTS["offset_rate_ficc"], null=""),
        replace(ACCOUNTS["offset_rate_cme"], null=""),
        *_RECORD,
    ),
)

FIGURES = tuple(column.name for column in CALLS.columns if column.type == MONEY)
"""The amounts of a call."""
ADJUSTMENTS = Schema(
    "ledger_adjustments",
    (
        *_RECORD,
        Column("adjusts", WHOLE, "The record of `EOD` that is adjusted."),
        ACCOUNT,
        ACCOUNTS["customer"],
        Column("figure", TEXT, "The column of `ledger_calls` that differs."),
        amount("before", "In the record of `EOD`.", "unknown, or the account is not in it"),
        amount("after", "In that of `EODXM`.", "unknown, or the account is not in it"),
        amount("change", "`after` - `before`.", "either is null"),
    ),
)

LEDGER_TABLES = (
    LEDGER_STEPS,
    LEDGER_CALLS,
    LEDGER_SAVINGS,
    LEDGER_TRANSFERS,
    LEDGER_BOOKINGS,
    ADJUSTMENTS,
    LAST_GOOD,
)
