"""The input tables as data: which columns they have, and what may stand in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from crossmargin.columns import TEXT
from crossmargin.instruments.contracts import roots
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
    meaning
        What a cell says, in Markdown.
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
    meaning: str = ""

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
        Column(
            "account",
            code="ACCOUNT_UNKNOWN",
            required=True,
            meaning="As in accounts.",
        ),
        Column(
            "kind",
            "choice",
            code="KIND_UNKNOWN",
            required=True,
            choices=POSITION_KINDS,
            meaning="`cash` is an unsettled purchase or sale; its own payment is not "
            "modelled. `repo` sells the securities, borrows cash, and buys them back "
            "at the end: once started it is long the securities. `reverse` is the "
            "opposite: short.",
        ),
        Column(
            "instrument",
            code="INSTRUMENT_UNKNOWN",
            required=True,
            meaning="CUSIP, or a contract: root, month letter, year (ZNM25 = ZNM5 = ZNM2025). "
            "See *names* below.",
        ),
        Column(
            "quantity",
            "number",
            code="QUANTITY_INVALID",
            required=True,
            meaning="USD of face, in whole lots of 100: signed for cash, positive for repo "
            "and reverse. Contracts of a future, signed.",
        ),
        Column(
            "xm",
            "flag",
            code="XM_UNREADABLE",
            required=True,
            meaning="Whether it is in the cross-margin account.",
        ),
        Column(
            "settle_date",
            "date",
            code="DATE_INVALID",
            meaning="Of cash. Blank is unsettled.",
        ),
        Column(
            "start_date",
            "date",
            code="DATE_INVALID",
            meaning="Of repo and reverse, which need it.",
        ),
        Column(
            "end_date",
            "date",
            code="DATE_INVALID",
            meaning="Of repo and reverse, which need it.",
        ),
        Column(
            "repo_rate",
            "number",
            code="VALUE_INVALID",
            low=-20.0,
            high=100.0,
            unit="percent",
            meaning="Of repo and reverse, which need it.",
        ),
        Column(
            "start_cash",
            "number",
            code="VALUE_INVALID",
            low=0.0,
            high=1e13,
            meaning="Of repo and reverse, USD. Blank is face times the model's dirty price.",
        ),
        Column(
            "failed",
            "flag",
            code="VALUE_INVALID",
            default=False,
            meaning="A leg that is due did not settle and is still open.",
        ),
        Column(
            "clearing_firm",
            code="VALUE_INVALID",
            meaning="Where it is not the account's: the row is margined apart.",
        ),
        Column(
            "ccp",
            code="CCP_UNKNOWN",
            meaning="The clearing house, where the policy has others beside FICC and CME. Blank is "
            "FICC for cash, repo and reverse, CME for futures.",
        ),
    ),
    account="account",
    instrument="instrument",
)

ACCOUNTS = Schema(
    "accounts",
    (
        Column(
            "account",
            code="ACCOUNT_INVALID",
            required=True,
            meaning="The name of the account.",
        ),
        Column(
            "origin",
            "choice",
            code="ACCOUNT_INVALID",
            required=True,
            choices=("house", "customer"),
            meaning="Whose account it is: the clearing firm's own, or a customer's.",
        ),
        Column(
            "ficc_role",
            "choice",
            code="ACCOUNT_INVALID",
            required=True,
            choices=("netting_member", "sponsored_member", "executing_firm_customer", "none"),
            meaning="`netting_member` goes with `house`; `sponsored_member` and "
            "`executing_firm_customer` go with `customer`. With anything else "
            "(`none`) the account is not cross-margined.",
        ),
        Column(
            "opted_in",
            "flag",
            code="ACCOUNT_INVALID",
            required=True,
            meaning="Without it an account, house or customer, is not cross-margined.",
        ),
        Column(
            "clearing_firm",
            code="ACCOUNT_INVALID",
            required=True,
            meaning="The firm that carries the account.",
        ),
        Column(
            "customer",
            code="ACCOUNT_INVALID",
            meaning="The legal customer, carried to the results.",
        ),
        Column(
            "multiplier",
            "number",
            code="ACCOUNT_INVALID",
            default=1.0,
            low=0.0,
            high=100.0,
            meaning="The firm's own terms: house requirement = max(multiplier * requirement, "
            "floor, minimum).",
        ),
        Column(
            "floor",
            "number",
            code="ACCOUNT_INVALID",
            default=0.0,
            low=0.0,
            high=1e13,
            meaning="USD; see multiplier.",
        ),
        Column(
            "minimum",
            "number",
            code="ACCOUNT_INVALID",
            default=0.0,
            low=0.0,
            high=1e13,
            meaning="USD; see multiplier.",
        ),
    ),
    account="account",
    keep_extra=True,
)

FIRMS = Schema(
    "firms",
    (
        Column(
            "clearing_firm",
            code="FIRM_INVALID",
            required=True,
            meaning="As in accounts and positions.",
        ),
        Column(
            "broker_dealer",
            "flag",
            code="FIRM_INVALID",
            required=True,
            meaning="Whether it is a broker-dealer.",
        ),
        Column(
            "fcm",
            "flag",
            code="FIRM_INVALID",
            required=True,
            meaning="Whether it is a futures commission merchant.",
        ),
        Column(
            "cme_member",
            "flag",
            code="FIRM_INVALID",
            required=True,
            meaning="Whether it is a member of CME.",
        ),
        Column(
            "ficc_member",
            "flag",
            code="FIRM_INVALID",
            required=True,
            meaning="Whether it is a member of FICC.",
        ),
    ),
)

SECURITIES = Schema(
    "securities",
    (
        Column(
            "cusip",
            code="SECURITY_INVALID",
            required=True,
            meaning="CUSIP.",
        ),
        Column(
            "coupon_pct",
            "number",
            code="SECURITY_INVALID",
            required=True,
            low=0.0,
            high=30.0,
            unit="percent",
            meaning="The coupon of a year.",
        ),
        Column(
            "issue_date",
            "date",
            code="SECURITY_INVALID",
            required=True,
            meaning="The day it was issued.",
        ),
        Column(
            "maturity_date",
            "date",
            code="SECURITY_INVALID",
            required=True,
            meaning="The day it matures.",
        ),
        Column(
            "type",
            "choice",
            code="SECURITY_INVALID",
            choices=("note", "bond", "tips", "frn", "bill", "strip", "mbs"),
            meaning="Blank is a nominal bill, note or bond by its term, so mark the others.",
        ),
        Column(
            "first_coupon_date",
            "date",
            code="SECURITY_INVALID",
            meaning="Of an irregular first period.",
        ),
        Column(
            "price",
            "number",
            code="SECURITY_INVALID",
            low=0.01,
            high=1000.0,
            meaning="Clean, per 100. Of bills, STRIPS, TIPS and FRNs all that 100 of face is "
            "worth: for the haircut method, and for the floor where your own cube has "
            "the P&L.",
        ),
        Column(
            "resold_as",
            code="SECURITY_INVALID",
            meaning="Later sales as a new original issue: `2022-01-31:5-Year;...`.",
        ),
        Column(
            "outstanding",
            "number",
            code="SECURITY_INVALID",
            low=0.0,
            high=1e13,
            meaning="USD of face. Positions beyond it are noted.",
        ),
    ),
    instrument="cusip",
)

BASIS = Schema(
    "basis",
    (
        Column(
            "date",
            "date",
            required=True,
            meaning="The day.",
        ),
        Column(
            "root",
            "choice",
            required=True,
            choices=roots("treasury"),
            meaning="The root of the future.",
        ),
        Column(
            "contract",
            required=True,
            meaning="The contract the basis is of.",
        ),
        Column(
            "basis",
            "number",
            required=True,
            blank=True,
            low=-50.0,
            high=50.0,
            meaning="Settlement minus model price, price points.",
        ),
    ),
    instrument="contract",
)

SETTLEMENTS = Schema(
    "settlements",
    (
        Column(
            "date",
            "date",
            required=True,
            meaning="The day.",
        ),
        Column(
            "contract",
            required=True,
            meaning="A Treasury future.",
        ),
        Column(
            "price",
            "number",
            required=True,
            blank=True,
            low=1.0,
            high=1000.0,
            meaning="Points, or 32nds such as `110-165`.",
        ),
    ),
    instrument="contract",
)

VOLUMES = Schema(
    "volumes",
    (
        Column(
            "contract",
            required=True,
            meaning="A contract, or a root for all its contracts without a row.",
        ),
        Column(
            "adv",
            "number",
            required=True,
            low=0.0,
            high=1e9,
            meaning="Average daily volume, contracts a day.",
        ),
        Column(
            "open_interest",
            "number",
            low=0.0,
            high=1e9,
            meaning="Contracts. Positions beyond it are noted, whatever the policy.",
        ),
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
        Column(
            "date",
            "date",
            required=True,
            meaning="The day the fixing is of.",
        ),
        Column(
            "index",
            "choice",
            required=True,
            choices=("SOFR", "EFFR"),
            meaning="The rate.",
        ),
        Column(
            "rate_pct",
            "number",
            required=True,
            blank=True,
            low=-5.0,
            high=30.0,
            unit="percent",
            meaning="The fixing.",
        ),
    ),
)
