"""The tables of a run."""

from __future__ import annotations

from dataclasses import replace

from crossmargin.results.schema import FLAG, NUMBER, TEXT, WHOLE, Column, Schema
from crossmargin.results.schemas.baskets import BASKETS
from crossmargin.results.schemas.shared import (
    ACCOUNT,
    ANY_UNPRICED,
    CAVEATS,
    FIRM,
    MONEY_COLUMNS,
    SAVING,
    UNPRICED,
    amount,
    v_column,
)
from crossmargin.results.table import MONEY

CARRIED = (
    Column("customer", TEXT, "The legal customer, as given.", null="none is given"),
    replace(FIRM, meaning="The firm that carries the account, as given."),
    Column("origin", TEXT, "`house` or `customer`, as given."),
    Column("ficc_role", TEXT, "The account's role at FICC, as given."),
)
"""Columns of the given accounts that go to the results, before the user's own."""

ACCOUNTS = Schema(
    "accounts",
    (
        ACCOUNT,
        Column(
            "status",
            TEXT,
            "`complete`; `incomplete`, rows are rejected or something is unpriced, anywhere in the "
            "account; `not_eligible`.",
        ),
        Column(
            "rows_rejected",
            WHOLE,
            "Rejected input rows that name the account, or a member of it if it is an omnibus "
            "account. The amounts leave them out, and so are too low.",
        ),
        v_column("v_ficc_cash", "FICC", "cash"),
        v_column("v_ficc_futures", "FICC", "futures"),
        v_column("v_ficc_combined", "FICC", "cash and futures together"),
        SAVING[0],
        v_column("v_cme_futures", "CME", "futures"),
        v_column("v_cme_cash", "CME", "cash"),
        v_column("v_cme_combined", "CME", "cash and futures together"),
        *SAVING[1:],
        *MONEY_COLUMNS,
        amount(
            "unused_saving",
            "At least so much less would be due with other futures in the cross-margin account: by "
            "the best of a few simple choices. `crossmargin optimise` searches for the best.",
            f"{ANY_UNPRICED}, rows are rejected, the offset rate was given, or the run did not "
            "look for it",
            evidence="ours",
        ),
        *CAVEATS,
        *CARRIED,
    ),
    carries=True,
)

COMPONENTS = Schema(
    "components",
    (
        ACCOUNT,
        FIRM,
        Column("ccp", TEXT, "The clearing house: `FICC`, `CME`, or another one of the policy."),
        Column(
            "portfolio",
            TEXT,
            "`cash`, `futures` and `combined` are cross-margined; `other` is the rest; `all` is "
            "what the clearing house would margin without the programme, and the only one at "
            "another clearing house.",
        ),
        Column(
            "component",
            TEXT,
            "At FICC `VaR`, `floor`, `MMA` (minimum margin amount) and `haircut`. At CME `HVaR` "
            "and `SVaR`, or by scan ranges `scan`, `intra`, `delivery` and `credit`. At another "
            "clearing house those of its model. `V` is the margin they give. A charge is "
            "`charge: ` and its name.",
        ),
        Column(
            "amount",
            MONEY,
            "The component, to the cent. A negative measure is a gain; `credit` is negative.",
            "USD",
            UNPRICED,
        ),
        Column("reducible", FLAG, "Whether the offset rate reduces it."),
    ),
)

BREAKDOWN = Schema(
    "breakdown",
    (
        ACCOUNT,
        FIRM,
        replace(COMPONENTS["ccp"], null="a `reduction`, which both clearing houses have together"),
        replace(COMPONENTS["portfolio"], meaning="As in components.", null="a `reduction`"),
        Column(
            "component",
            TEXT,
            "`scan`, `intra`, `delivery` or `credit` of the model by scan ranges; `reduction`, by "
            "a table of the policy.",
        ),
        Column(
            "item",
            TEXT,
            "`scan`, `intra`, `delivery`: the root. `credit`: the spread's legs and ratios. "
            "`reduction`: class of cash : class or root of futures.",
        ),
        Column(
            "quantity",
            NUMBER,
            "`scan`: the root's net delta. `credit`: how many spreads are formed. `reduction`: the "
            "margin offset, USD.",
            "contracts, spreads or USD",
            "the component has no quantity",
        ),
        Column(
            "scenario",
            WHOLE,
            "`scan`: the active scenario, 1 to 16.",
            null="any other component",
        ),
        Column(
            "amount",
            NUMBER,
            "What the item adds to the component, unrounded and never zero; negative for a "
            "`credit`. For a `reduction` it is a part of R, before cap and minimum, even if "
            "`reason` says why the offset rate is zero.",
            "USD",
        ),
    ),
)

POSITIONS = Schema(
    "positions",
    (
        ACCOUNT,
        FIRM,
        Column("ccp", TEXT, "The clearing house: `FICC`, `CME`, or another one of the policy."),
        Column("xm", FLAG, "Whether it was booked in the cross-margin account."),
        Column(
            "segment",
            TEXT,
            "Where it is margined: `FICC cross-margined`, `CME cross-margined`, `FICC other`, "
            "`CME other`, or the name of another clearing house.",
        ),
        Column("instrument", TEXT, "CUSIP, contract, or `USD 2025-03-20` for a forward cash leg."),
        Column("kind", TEXT, "`treasury`, `forward cash leg` or `future`."),
        Column("quantity", WHOLE, "Net, long is positive.", "USD of face, or contracts"),
        Column(
            "assignment_reason",
            TEXT,
            "Why it is margined there: `CROSS_MARGINED`, `NOT_XM`, `CLEARED_ELSEWHERE`, or the "
            "code of its reassignment.",
        ),
    ),
)

EXCEPTIONS = Schema(
    "exceptions",
    (
        Column("file", TEXT, "The input."),
        Column("row", WHOLE, "Data row, from 1.", null="it is about the whole input"),
        Column("account", TEXT, "The account of the row.", null="it names none"),
        Column("instrument", TEXT, "The instrument of the row.", null="it names none"),
        Column("severity", TEXT, "`rejected`, `reassigned`, `unpriced` or `note`."),
        Column("code", TEXT, "The kind; `crossmargin.exceptions.CODES` lists them all."),
        Column("message", TEXT, "What is wrong or notable, and what to do."),
    ),
)

RUN_TABLES = (ACCOUNTS, COMPONENTS, BREAKDOWN, POSITIONS, BASKETS, EXCEPTIONS)
"""What a run writes, each followed by `STAMPS`."""
