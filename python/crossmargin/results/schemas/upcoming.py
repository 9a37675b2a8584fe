"""The tables of what the days to come change."""

from __future__ import annotations

from dataclasses import replace

from crossmargin.results.schema import DATE, TEXT, WHOLE, Column, Schema
from crossmargin.results.schemas.shared import ACCOUNT, ANY_UNPRICED, amount

_DAY = Column("day", DATE, "The business day of the bond market from which it is so.")
_UNKNOWN = f"{ANY_UNPRICED}, before or after"

UPCOMING_EVENTS = Schema(
    "upcoming_events",
    (
        _DAY,
        replace(ACCOUNT, meaning="The account of the trades, as in positions."),
        Column("instrument", TEXT, "CUSIP or contract."),
        Column(
            "event",
            TEXT,
            "`CASH_SETTLES`, `REPO_STARTS`, `REPO_ENDS`; `SECURITY_INELIGIBLE`, its remaining term "
            "has come down to the limit; `SECURITY_MATURES`; `DELIVERY_MONTH` of a Treasury future "
            "begins, which by itself changes no margin here; `CONTRACT_INELIGIBLE`, by the "
            "policy's `delivery_month`; `CONTRACT_EXPIRES`, its last day is past.",
        ),
        Column(
            "quantity",
            WHOLE,
            "The position concerned, long positive: what leaves the book or the cross-margin "
            "account, or at `REPO_STARTS` comes in. Trades of the account are added up.",
            "USD of face or contracts",
        ),
        Column("trades", WHOLE, "How many rows of positions it is about."),
        Column(
            "margined_in",
            TEXT,
            "The account whose requirement it changes: the account itself, or its omnibus account.",
        ),
        Column("message", TEXT, "What happens, in words."),
    ),
)

UPCOMING_COSTS = Schema(
    "upcoming_costs",
    (
        _DAY,
        ACCOUNT,
        amount(
            "requirement_before", "Before the day's events, after all earlier ones.", ANY_UNPRICED
        ),
        amount(
            "requirement_after",
            "After the day's events: a full calculation on the market and with the models of the "
            "run's day, of what is left of today's positions.",
            ANY_UNPRICED,
        ),
        amount("cost", "`requirement_after` - `requirement_before`: of the day alone.", _UNKNOWN),
        amount(
            "cost_so_far",
            "`requirement_after` less the requirement of the run: of all days up to this one.",
            _UNKNOWN,
        ),
    ),
)
