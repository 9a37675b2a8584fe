"""The tables of an allocation."""

from __future__ import annotations

from dataclasses import replace

from crossmargin.results.schema import FLAG, NUMBER, TEXT, WHOLE, Column, Schema
from crossmargin.results.schemas.shared import (
    ACCOUNT,
    ANY_UNPRICED,
    CAVEATS,
    SAVING,
    amount,
)

_NO_CHOICE = "the account has no choice, or its requirement is unknown"
_NO_BOUND = (
    f"{_NO_CHOICE}; or it has no cross-margined cash, so that only now and none are compared; or "
    "the allocation is a quick one"
)
_OR = "or a requirement is unknown, or the allocation is a quick one"

ALLOCATIONS = Schema(
    "allocations",
    (
        ACCOUNT,
        Column(
            "outcome",
            TEXT,
            "`moved`: there are transfers. `kept`: nothing found is better than what is there. Or "
            "why there is no choice, the first that applies: `INCOMPLETE`, a row is rejected; "
            "`UNPRICED`; `NOT_ELIGIBLE`; `NO_FUTURES` that may be moved; `NO_CASH`, no "
            "cross-margined cash to set futures off against, and none move back.",
        ),
        amount("requirement", "As in accounts: with the futures where they are.", ANY_UNPRICED),
        amount(
            "requirement_none",
            "With all futures that may be moved in the ordinary account.",
            ANY_UNPRICED,
        ),
        amount("requirement_after", "After the transfers.", ANY_UNPRICED),
        amount(
            "unused_saving", "`requirement` - `requirement_after`.", ANY_UNPRICED, evidence="ours"
        ),
        Column("transfers", WHOLE, "Lines to move."),
        amount(
            "lower_bound",
            "No choice from none to all of each line goes below it, whatever the number of "
            "transfers.",
            _NO_BOUND,
            evidence="ours",
        ),
        Column(
            "gap",
            NUMBER,
            "(`requirement_after` - `lower_bound`) / `requirement_after`: at most this share of it "
            "could still be saved.",
            "fraction",
            _NO_BOUND,
            "ours",
        ),
        Column(
            "optimal",
            FLAG,
            "The bound is less than a tenth of a thousandth below `requirement_after`, or within "
            "20 cents of it: no choice is better by more than that.",
            null=_NO_BOUND,
            evidence="ours",
        ),
        replace(SAVING[2], meaning="As in accounts: with the futures where they are."),
        Column("offset_rate_after", NUMBER, "After the transfers.", "fraction", _NO_CHOICE),
        Column(
            "binding",
            TEXT,
            "As in accounts: with the futures where they are.",
            null="as in accounts",
        ),
        Column(
            "binding_after",
            TEXT,
            "The clearing house whose saving is the smaller after the transfers.",
            null="the rate is zero, or the account has no choice",
        ),
        Column("capped_after", FLAG, "The cap decides after the transfers.", null=_NO_CHOICE),
        *(replace(caveat, meaning=f"After the transfers: {caveat.meaning}") for caveat in CAVEATS),
    ),
)

ALLOCATION_LINES = Schema(
    "allocation_lines",
    (
        ACCOUNT,
        Column("instrument", TEXT, "The future."),
        Column("total", WHOLE, "Contracts in both accounts, long positive.", "contracts"),
        Column("crossed", WHOLE, "Of these, in the cross-margin account now.", "contracts"),
        Column("crossed_after", WHOLE, "In the cross-margin account afterwards.", "contracts"),
        amount(
            "one_more",
            "What the requirement would change with one more contract in the cross-margin account "
            "than afterwards, toward `total`.",
            f"there is no more to move, {_OR}",
        ),
        amount(
            "one_less",
            "The same with one contract less, toward none.",
            f"there is none to move back, {_OR}",
        ),
    ),
)

TRANSFERS = Schema(
    "transfers",
    (
        ACCOUNT,
        Column("instrument", TEXT, "The future."),
        Column("contracts", WHOLE, "How many to move.", "contracts"),
        Column(
            "moves",
            TEXT,
            "`in`: from the ordinary to the cross-margin account. `out`: back.",
        ),
        Column("cross_margin_side", TEXT, "`BUY` or `SELL` in the cross-margin account."),
        Column("ordinary_side", TEXT, "The opposite in the ordinary account."),
        amount(
            "saves",
            "What the requirement would be more with this transfer alone left out.",
            ANY_UNPRICED,
        ),
    ),
)

BOOKINGS = Schema(
    "bookings",
    (
        Column("transfer_id", TEXT, "The same for both rows of a transfer, as in transfers.xml."),
        ACCOUNT,
        Column(
            "account_type",
            TEXT,
            "Where the row is booked: `CROSS_MARGIN`, or `ORDINARY` for the client's other "
            "account.",
            evidence="ours",
        ),
        Column("side", TEXT, "`BUY` or `SELL`."),
        Column("contracts", WHOLE, "How many.", "contracts"),
        Column("instrument", TEXT, "The future."),
        Column("moves", TEXT, "As in transfers."),
    ),
)

ALLOCATION_TABLES = (ALLOCATIONS, ALLOCATION_LINES, TRANSFERS, BOOKINGS)
