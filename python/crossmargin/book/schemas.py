"""The input tables as data: their columns, and what the cells may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from crossmargin.columns import TEXT
from crossmargin.conventions import CME, FICC
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
"""Arrow type of a column after reading, by kind."""

LARGEST_QUANTITY = 2.0**53 - 1
"""Above it a float64 does not hold every whole number."""


@dataclass(frozen=True)
class Column:
    """One column of an input table.

    Attributes
    ----------
    name, kind
        The header, and how cells are read.
    code
        The exception for a row with a bad cell. None: a bad cell makes the whole file unusable
        (market histories, where a missing row could go unnoticed).
    required
        Whether the file must have the column.
    blank
        Whether a cell may be missing. None: if the column is optional.
    choices
        Values of a `choice`, as the reader returns them; case is ignored in files.
    default
        Value of a missing cell or column; None: null.
    low, high
        Bounds of a `number`, inclusive.
    unit
        Unit of a `number`: `percent`, or empty.
    meaning
        Meaning of a cell, in Markdown.
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
        Name of the table.
    columns
        Its columns, in the order in which the reader returns them.
    account, instrument
        The columns that give account and instrument of an exception, if there are any.
    keep_extra
        Whether unknown columns are kept.
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
            meaning="`cash` is an unsettled purchase or sale; its payment is not modelled. "
            "`repo` sells the securities, borrows cash, and buys the securities back at the "
            "end; once started, it is long the securities. `reverse` is the opposite, and "
            "short.",
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
            meaning="USD of face in whole lots of 100, signed for cash, positive for repo and "
            "reverse. For a future, the number of contracts, signed.",
        ),
        Column(
            "xm",
            "flag",
            code="XM_UNREADABLE",
            required=True,
            meaning="Whether the position is booked in the cross-margin account.",
        ),
        Column(
            "settle_date",
            "date",
            code="DATE_INVALID",
            meaning="Settlement date of cash. Blank means unsettled.",
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
            meaning="USD, of repo and reverse. Blank means face times the model's dirty price.",
        ),
        Column(
            "failed",
            "flag",
            code="VALUE_INVALID",
            default=False,
            meaning="Whether a leg that was due failed to settle and is still open.",
        ),
        Column(
            "clearing_firm",
            code="VALUE_INVALID",
            meaning="Clearing firm, if it is not the account's. The row is then margined "
            "separately.",
        ),
        Column(
            "given_up",
            "flag",
            code="VALUE_INVALID",
            default=False,
            meaning="Whether `clearing_firm` only executed the trade and has given it up to the "
            "account's own firm: the row then counts there. Until then it is margined where it is.",
        ),
        Column(
            "ccp",
            code="CCP_UNKNOWN",
            meaning="The clearing house, if the policy has others beside FICC and CME. Blank means "
            "FICC for cash, repo and reverse, and CME for futures.",
        ),
    ),
    account="account",
    instrument="instrument",
)

OMNIBUS = "omnibus"
"""The role at FICC of an account in which the positions of its members net."""
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
            choices=(
                *("netting_member", "sponsored_member", "executing_firm_customer"),
                *(OMNIBUS, "none"),
            ),
            meaning="`netting_member` goes with `house`; `sponsored_member` and "
            "`executing_firm_customer` go with `customer`. `omnibus` is an account in which "
            "customers' positions net at FICC. With it or anything else (`none`) the account is "
            "not cross-margined.",
        ),
        Column(
            "opted_in",
            "flag",
            code="ACCOUNT_INVALID",
            required=True,
            meaning="Whether the account takes part; if not, house or customer, it is not "
            "cross-margined.",
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
            meaning="The legal customer, copied to the results.",
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
        Column(
            "omnibus",
            code="ACCOUNT_INVALID",
            meaning="The non-segregated agent-clearing omnibus account, one with the `ficc_role` "
            "`omnibus`, in which the account's cash, repos and reverses net with those of its "
            "other members. Its futures stay in the account itself, and neither account is "
            "cross-margined.",
        ),
        Column(
            "risk_profile",
            "choice",
            code="ACCOUNT_INVALID",
            choices=("standard", "heightened"),
            default="standard",
            meaning="Whether the exchange's percentage for heightened risk applies to the "
            "customer. It changes no requirement.",
        ),
        Column(
            "house_model",
            "flag",
            code="ACCOUNT_INVALID",
            default=False,
            meaning="Whether the firm's own portfolio model applies to the account. It changes no "
            "requirement.",
        ),
    ),
    account="account",
    keep_extra=True,
)

DEPOSITS = Schema(
    "deposits",
    (
        Column(
            "account",
            code="ACCOUNT_UNKNOWN",
            required=True,
            meaning="As in accounts. One without a row has nothing on deposit.",
        ),
        Column(
            "ccp",
            "choice",
            code="CCP_UNKNOWN",
            required=True,
            choices=(FICC, CME),
            meaning="The clearing house whose margin the deposit is held for.",
        ),
        Column(
            "value",
            "number",
            code="VALUE_INVALID",
            required=True,
            low=0.0,
            high=1e13,
            meaning="USD, after haircuts. Rows of one account and clearing house add up.",
        ),
    ),
    account="account",
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
            meaning="Annual coupon.",
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
            meaning="Type of security. Blank is taken as a nominal bill, note or bond, by its "
            "term, so mark TIPS, FRNs, STRIPS and MBS.",
        ),
        Column(
            "first_coupon_date",
            "date",
            code="SECURITY_INVALID",
            meaning="First coupon date of an irregular first period.",
        ),
        Column(
            "price",
            "number",
            code="SECURITY_INVALID",
            low=0.01,
            high=1000.0,
            meaning="Clean price per 100 of face. For bills, STRIPS, TIPS and FRNs the full "
            "value of 100 of face; the haircut method uses it, and so does the floor if your own "
            "cube gives the P&L.",
        ),
        Column(
            "resold_as",
            code="SECURITY_INVALID",
            meaning="Later sales as a new issue: `2022-01-31:5-Year;...`.",
        ),
        Column(
            "outstanding",
            "number",
            code="SECURITY_INVALID",
            low=0.0,
            high=1e13,
            meaning="Amount outstanding, USD of face. Larger positions are noted.",
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

SPREADS = Schema(
    "spreads",
    (
        Column(
            "date",
            "date",
            required=True,
            meaning="The day.",
        ),
        Column(
            "group",
            required=True,
            meaning="A group of the policy's table `spreads`: the bucket's name, then `on` or "
            "`off` the run, such as `7 off`.",
        ),
        Column(
            "spread_pct",
            "number",
            required=True,
            blank=True,
            low=-5.0,
            high=5.0,
            meaning="Its yield spread over the curve, percent.",
        ),
    ),
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
            meaning="A contract, or a root for all its contracts that have no row.",
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
            meaning="Open interest, contracts. Larger positions are noted under every policy.",
        ),
    ),
    instrument="contract",
)

OBSERVED_MARGINS = Schema(
    "observed_margins",
    (
        Column(
            "instrument",
            code="CONTRACT_UNKNOWN",
            required=True,
            meaning="A contract, or a root for all its contracts that have no row.",
        ),
        Column(
            "date",
            "date",
            code="DATE_INVALID",
            required=True,
            meaning="The day from which the margin is in force. Of an instrument's rows the latest "
            "one counts that is not after the as-of date.",
        ),
        Column(
            "maintenance",
            "number",
            code="VALUE_INVALID",
            required=True,
            low=1.0,
            high=1e5,
            meaning="Maintenance margin, USD a contract.",
        ),
    ),
    instrument="instrument",
)

QUESTIONS = Schema(
    "questions",
    (
        Column(
            "account",
            code="ACCOUNT_UNKNOWN",
            required=True,
            meaning="An account of the run.",
        ),
        Column(
            "instrument",
            code="INSTRUMENT_UNKNOWN",
            required=True,
            meaning="CUSIP or contract, as in positions. The run need not hold it.",
        ),
        Column(
            "quantity",
            "number",
            code="QUANTITY_INVALID",
            required=True,
            meaning="USD of face or contracts, long positive. Of a move, what goes into the "
            "cross-margin account, with the sign of the position; the opposite sign moves it out.",
        ),
        Column(
            "question",
            code="VALUE_INVALID",
            meaning="Rows of the same question and account are taken together. A row without one "
            "is a question by itself, named by the number of the row.",
        ),
        Column(
            "move",
            "flag",
            code="VALUE_INVALID",
            default=False,
            meaning="Whether the row moves what is held between the ordinary and the cross-margin "
            "account. Blank means a trade.",
        ),
        Column(
            "xm",
            "flag",
            code="XM_UNREADABLE",
            default=True,
            meaning="Whether a trade is booked in the cross-margin account. Blank means yes.",
        ),
    ),
    account="account",
    instrument="instrument",
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
