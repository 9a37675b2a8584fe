"""The input tables as data: which columns they have, and what may stand in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from crossmargin.columns import TEXT
from crossmargin.market.curve import TENORS

Kind = Literal["text", "number", "date", "flag", "choice"]

ARROW_TYPE: dict[Kind, pa.DataType] = {
    "text": TEXT,
    "number": pa.float64(),
    "date": pa.date32(),
    "flag": pa.bool_(),
    "choice": TEXT,
}
"""The type of a column once read."""

LARGEST_QUANTITY = 2.0**53 - 1
"""Beyond it a float64 no longer holds every whole number."""


@dataclass(frozen=True)
class Column:
    """One column of an input table.

    Attributes
    ----------
    name, kind
        The header, and how cells are read.
    code
        The exception a bad cell's row is rejected with; None: a bad cell makes the whole file
        unusable (market histories, where a hole must not appear unseen).
    required
        The file must have the column.
    blank
        A cell may be missing. None: where the column is optional.
    choices
        What a `choice` may be, as it leaves the reader; case is ignored in files.
    default
        What stands for a missing cell or column; None: null.
    low, high
        Bounds of a `number`, inclusive.
    unit
        Of a `number`: `percent`, or empty.
    """

    name: str
    kind: Kind = "text"
    code: str | None = None
    required: bool = False
    blank: bool | None = None
    choices: tuple[str, ...] = ()
    default: str | float | bool | None = None
    low: float = -LARGEST_QUANTITY
    high: float = LARGEST_QUANTITY
    unit: str = ""

    @property
    def may_be_blank(self) -> bool:
        """Whether a cell may be missing."""
        return not self.required if self.blank is None else self.blank


@dataclass(frozen=True)
class Schema:
    """One input table.

    Attributes
    ----------
    name
        What the table is called.
    columns
        Its columns, in the order they leave the reader.
    account, instrument
        The columns that name these in an exception, if there are any.
    keep_extra
        Whether columns we do not know are carried along.
    """

    name: str
    columns: tuple[Column, ...]
    account: str | None = None
    instrument: str | None = None
    keep_extra: bool = False


POSITION_KINDS = ("cash", "repo", "reverse", "future")
POSITIONS = Schema(
    "positions",
    (
        Column("account", code="ACCOUNT_UNKNOWN", required=True),
        Column(
            "kind",
            "choice",
            code="KIND_UNKNOWN",
            required=True,
            choices=POSITION_KINDS,
        ),
        Column("instrument", code="INSTRUMENT_UNKNOWN", required=True),
        Column("quantity", "number", code="QUANTITY_INVALID", required=True),
        Column("xm", "flag", code="XM_UNREADABLE", required=True),
        Column("settle_date", "date", code="DATE_INVALID"),
        Column("start_date", "date", code="DATE_INVALID"),
        Column("end_date", "date", code="DATE_INVALID"),
        Column(
            "repo_rate",
            "number",
            code="VALUE_INVALID",
            low=-20.0,
            high=100.0,
            unit="percent",
        ),
        Column("start_cash", "number", code="VALUE_INVALID", low=0.0, high=1e13),
        Column("failed", "flag", code="VALUE_INVALID", default=False),
        Column("clearing_firm", code="VALUE_INVALID"),
    ),
    account="account",
    instrument="instrument",
)

ACCOUNTS = Schema(
    "accounts",
    (
        Column("account", code="ACCOUNT_INVALID", required=True),
        Column(
            "origin",
            "choice",
            code="ACCOUNT_INVALID",
            required=True,
            choices=("house", "customer"),
        ),
        Column(
            "ficc_role",
            "choice",
            code="ACCOUNT_INVALID",
            required=True,
            choices=("netting_member", "sponsored_member", "executing_firm_customer", "none"),
        ),
        Column("opted_in", "flag", code="ACCOUNT_INVALID", required=True),
        Column("clearing_firm", code="ACCOUNT_INVALID", required=True),
        Column("customer", code="ACCOUNT_INVALID"),
        Column("multiplier", "number", code="ACCOUNT_INVALID", default=1.0, low=0.0, high=100.0),
        Column("floor", "number", code="ACCOUNT_INVALID", default=0.0, low=0.0, high=1e13),
        Column("minimum", "number", code="ACCOUNT_INVALID", default=0.0, low=0.0, high=1e13),
    ),
    account="account",
    keep_extra=True,
)

FIRMS = Schema(
    "firms",
    (
        Column("clearing_firm", code="FIRM_INVALID", required=True),
        Column("broker_dealer", "flag", code="FIRM_INVALID", required=True),
        Column("fcm", "flag", code="FIRM_INVALID", required=True),
        Column("cme_member", "flag", code="FIRM_INVALID", required=True),
        Column("ficc_member", "flag", code="FIRM_INVALID", required=True),
    ),
)

SECURITIES = Schema(
    "securities",
    (
        Column("cusip", code="SECURITY_INVALID", required=True),
        Column(
            "coupon_pct",
            "number",
            code="SECURITY_INVALID",
            required=True,
            low=0.0,
            high=30.0,
            unit="percent",
        ),
        Column("issue_date", "date", code="SECURITY_INVALID", required=True),
        Column("maturity_date", "date", code="SECURITY_INVALID", required=True),
        Column(
            "type",
            "choice",
            code="SECURITY_INVALID",
            choices=("note", "bond", "tips", "frn", "bill", "strip", "mbs"),
        ),
        Column("first_coupon_date", "date", code="SECURITY_INVALID"),
        Column("price", "number", code="SECURITY_INVALID", low=0.01, high=1000.0),
        Column("resold_as", code="SECURITY_INVALID"),
        Column("outstanding", "number", code="SECURITY_INVALID", low=0.0, high=1e13),
    ),
    instrument="cusip",
)

TREASURY_ROOTS = ("ZT", "Z3N", "ZF", "ZN", "TN", "TWE", "ZB", "UB")
BASIS = Schema(
    "basis",
    (
        Column("date", "date", required=True),
        Column("root", "choice", required=True, choices=TREASURY_ROOTS),
        Column("contract", required=True),
        Column("basis", "number", required=True, blank=True, low=-50.0, high=50.0),
    ),
    instrument="contract",
)

SETTLEMENTS = Schema(
    "settlements",
    (
        Column("date", "date", required=True),
        Column("contract", required=True),
        Column("price", "number", required=True, blank=True, low=1.0, high=1000.0),
    ),
    instrument="contract",
)

VOLUMES = Schema(
    "volumes",
    (
        Column("contract", required=True),
        Column("adv", "number", required=True, low=0.0, high=1e9),
        Column("open_interest", "number", low=0.0, high=1e9),
    ),
    instrument="contract",
)

SOFR = Schema(
    "sofr",
    (
        Column("date", "date", required=True),
        *(Column(tenor, "number", low=-5.0, high=30.0, unit="percent") for tenor in TENORS),
    ),
)

FIXINGS = Schema(
    "fixings",
    (
        Column("date", "date", required=True),
        Column("index", "choice", required=True, choices=("SOFR", "EFFR")),
        Column(
            "rate_pct",
            "number",
            required=True,
            blank=True,
            low=-5.0,
            high=30.0,
            unit="percent",
        ),
    ),
)
