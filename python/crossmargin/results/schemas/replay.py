"""The table of a day of a replay."""

from __future__ import annotations

from crossmargin.results.schema import Schema
from crossmargin.results.schemas.run import ACCOUNTS
from crossmargin.results.schemas.shared import (
    ACCOUNT,
    MONEY_COLUMNS,
    SAVING,
    STAMPS,
    amount,
)

REPLAY = Schema(
    "replay",
    (
        STAMPS[0],
        ACCOUNT,
        ACCOUNTS["status"],
        ACCOUNTS["rows_rejected"],
        *SAVING,
        amount(
            "before_ficc",
            "Margin of the cross-margined cash at FICC at an offset rate of zero, with the charges "
            "on it. `requirement_ficc` is what is left of it.",
        ),
        amount(
            "before_cme",
            "Margin of the cross-margined futures at CME at an offset rate of zero, with their "
            "charges. `requirement_cme` is what is left of it.",
        ),
        amount(
            "reduction",
            "What the offset takes off at both: `before_ficc` + `before_cme` - `requirement_ficc` "
            "- `requirement_cme`. With reducible charges it is more than `programme_saving`.",
            "one of the four is null",
        ),
        *MONEY_COLUMNS,
        amount(
            "call",
            "`house_requirement` less that of the day before in the replay: what the account has "
            "to bring, or may take if it is negative, for a change of margin alone.",
            "the first day, or one of the two is null",
        ),
    ),
)
