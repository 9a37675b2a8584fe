"""The table of the delivery baskets of Treasury futures."""

from __future__ import annotations

from crossmargin.results.schema import DATE, FLAG, NUMBER, TEXT, WHOLE, Column, Schema

_NO_CALENDAR = "the as-of date is before 2010: the calendar is not complete"
_EMPTY = "nothing is deliverable"
_ONE = "fewer than two securities are deliverable"
_UNPRICED = "fewer than three deliverable securities have a market price"

BASKETS = Schema(
    "baskets",
    (
        Column("contract", TEXT, "The future, such as ZNM25."),
        Column("root", TEXT, "Its root."),
        Column("delivery_month", TEXT, "Year and month, such as 2025-06."),
        Column("last_delivery_day", DATE, "The day for which forward prices are computed."),
        Column(
            "later_month",
            FLAG,
            "Whether the root has a nearer contract whose delivery month has not begun.",
            null="none of the root is listed",
        ),
        Column(
            "deliverable",
            WHOLE,
            "Securities of the table that can be delivered; with announced ones it may exceed "
            "`expected`.",
        ),
        Column(
            "expected",
            WHOLE,
            "Deliverable issues dated up to the as-of date, by the Treasury's calendar of "
            "auctions.",
            null=_NO_CALENDAR,
            evidence="inferred",
        ),
        Column(
            "missing",
            WHOLE,
            "Of these, issues that no nominal security of the table is, by original term and "
            "maturity, or by a sale in `resold_as`.",
            null=_NO_CALENDAR,
            evidence="inferred",
        ),
        Column(
            "missing_issues",
            TEXT,
            "The missing issues by term and date of issue, `7-Year 2024-12-31`; at most six.",
            null=f"none is missing; or {_NO_CALENDAR}",
        ),
        Column(
            "market_priced",
            WHOLE,
            "Deliverable securities with a market price. The others are valued on the curve.",
        ),
        Column(
            "without_price",
            TEXT,
            "CUSIPs of deliverable securities without a market price; at most six.",
            null="all have a price, or none has one",
        ),
        Column(
            "cheapest", TEXT, "CUSIP of the cheapest to deliver, on the base curve.", null=_EMPTY
        ),
        Column("cheapest_maturity", DATE, "Its maturity.", null=_EMPTY),
        Column("cheapest_factor", NUMBER, "Its conversion factor.", null=_EMPTY),
        Column(
            "cheapest_price",
            NUMBER,
            "Its forward clean price over its factor: the model's price of the future without the "
            "basis.",
            "points",
            _EMPTY,
        ),
        Column("runner_up", TEXT, "CUSIP of the next.", null=_ONE),
        Column(
            "runner_up_gap",
            NUMBER,
            "By how much its forward clean price over its factor is higher.",
            "points",
            _ONE,
        ),
        Column("runner_up_gap_usd", NUMBER, "The same for a contract.", "USD", _ONE),
        Column(
            "shared_with",
            TEXT,
            "Other contracts of this table, of the same month, with the same cheapest: they differ "
            "by their basis alone.",
            null="there are none",
        ),
        Column(
            "furthest",
            TEXT,
            "CUSIP of the deliverable security whose z-spread is furthest from the median of those "
            "with a market price.",
            null=_UNPRICED,
        ),
        Column(
            "furthest_bp",
            NUMBER,
            "Its z-spread less the median: above zero it is cheap.",
            "basis points",
            _UNPRICED,
        ),
        Column(
            "outliers",
            WHOLE,
            "Deliverable securities further from it than the policy's `baskets.spread_bp`.",
            null=f"the policy has no such threshold; or {_UNPRICED}",
            evidence="ours",
        ),
        Column(
            "to_come",
            WHOLE,
            "Issues of the calendar after the as-of date that will be deliverable by the last "
            "delivery day, and are not yet.",
            null=_NO_CALENDAR,
            evidence="inferred",
        ),
        Column(
            "next_issue_term",
            WHOLE,
            "Original term of the first of them.",
            "years",
            f"none is to come; or {_NO_CALENDAR}",
        ),
        Column(
            "next_issue_date",
            DATE,
            "Its date of issue; the auction is some days before.",
            null=f"none is to come; or {_NO_CALENDAR}",
        ),
    ),
)
