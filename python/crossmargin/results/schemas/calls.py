"""The tables of calls, and of the programme's end."""

from __future__ import annotations

from dataclasses import replace

from crossmargin.results.schema import NUMBER, TEXT, WHOLE, Column, Schema
from crossmargin.results.schemas.run import ACCOUNTS
from crossmargin.results.schemas.shared import ACCOUNT, amount

_AT_FICC = "an instrument of the account is unpriced at FICC"
_AT_CME = "an instrument of the account is unpriced at CME"
_ANYWHERE = "an instrument of the account is unpriced at its own clearing house"
_NO_MODEL = "an account asks for the house model and holds an instrument without a price"
_COLLECTED = f"{_ANYWHERE}, or it {_NO_MODEL.removeprefix('an account ')}"
_NO_DEPOSITS = "no deposits are given, or a row of them that names the account is rejected"
CUSTOMER, FIRM, ORIGIN = (ACCOUNTS[name] for name in ("customer", "clearing_firm", "origin"))
_SUM = "The sum over the accounts."
_PART = "it is null for one of them"

REQUIRED = (
    amount(
        "required_ficc",
        "What FICC requires for the account at its own clearing firm: `requirement_ficc` and "
        "`other_ficc` of accounts.",
        _AT_FICC,
    ),
    amount("required_cme", "The same at CME: `requirement_cme` and `other_cme`.", _AT_CME),
    amount(
        "required_other_ccps",
        "The same at clearing houses outside the programme.",
        "an instrument of the account is unpriced there",
    ),
    amount(
        "required_elsewhere",
        "What positions at other clearing firms require. Those firms call it: it is in "
        "`requirement` of accounts, and in no other amount here.",
        "an instrument of the account is unpriced anywhere",
    ),
)
DEPOSIT = (
    amount("deposit_ficc", "On deposit for FICC, after haircuts.", _NO_DEPOSITS),
    amount("deposit_cme", "On deposit for CME, after haircuts.", _NO_DEPOSITS),
)
CALLED = (
    *REQUIRED,
    amount(
        "heightened_addition",
        "Where the risk profile is heightened: (`heightened_multiplier` of the policy's "
        "`customers` - 1) * `required_cme`. Zero for others.",
        _AT_CME,
        "unconfirmed",
    ),
    amount(
        "house_margin",
        "Margin of all positions at the firm as one portfolio, by the policy's `house_model`.",
        "the account does not ask for the house model, or holds an instrument without a price",
        "ours",
    ),
    amount(
        "collected",
        "What the firm collects. With R the sum of the first three amounts and "
        "`heightened_addition`: max(R, multiplier * R, floor, minimum, `house_margin`).",
        _COLLECTED,
    ),
    *DEPOSIT,
    amount("deposits", "The sum of both.", _NO_DEPOSITS),
    amount(
        "excess_ficc",
        "`deposit_ficc` - `required_ficc`; negative for a shortfall.",
        f"{_NO_DEPOSITS}; {_AT_FICC}",
    ),
    amount("excess_cme", "The same at CME.", f"{_NO_DEPOSITS}; {_AT_CME}"),
    amount(
        "excess",
        "`deposits` - `collected`; negative for a shortfall.",
        f"{_NO_DEPOSITS}; `collected` is null",
    ),
    amount(
        "call",
        "What to call: max(0, -`excess`). At least that much where rows are rejected.",
        "`excess` is null",
    ),
    amount(
        "call_ficc",
        "The shortfall at FICC alone, whatever is on deposit at CME.",
        "`excess_ficc` is null",
    ),
    amount("call_cme", "The shortfall at CME alone.", "`excess_cme` is null"),
    amount(
        "withdrawable",
        "What may be paid out: it leaves `collected` in all, and at FICC and CME what each "
        "requires. Zero where anything falls short now. Of this account alone: where another "
        "account of the customer is short, separate treatment (17 CFR 1.44) must allow it.",
        "an excess is null, or rows are rejected",
    ),
    amount(
        "withdrawable_ficc",
        "The part of it that is taken at FICC: as much as possible.",
        "`withdrawable` is null",
    ),
    amount("withdrawable_cme", "The rest of it, at CME.", "`withdrawable` is null"),
)

_DECIDES = {
    "collected": (
        Column(
            "collected_by",
            TEXT,
            "What decides it: `ccps`, `multiplier`, `floor`, `minimum` or `house_model`; the first "
            "of those that ask for as much.",
            null="`collected` is null",
        ),
    )
}
CALLS = Schema(
    "calls",
    (
        ACCOUNT,
        CUSTOMER,
        ORIGIN,
        FIRM,
        ACCOUNTS["status"],
        Column("risk_profile", TEXT, "`standard` or `heightened`, as given."),
        *(part for column in CALLED for part in (column, *_DECIDES.get(column.name, ()))),
    ),
)

_SUMMED = tuple(
    replace(column, meaning=_SUM, null=_PART, evidence=None)
    for column in CALLED
    if not column.name.startswith(("excess_", "house_margin"))
)
CUSTOMERS = Schema(
    "customers",
    (
        replace(
            CUSTOMER,
            meaning="The legal customer. Its accounts are called one by one, as a firm may elect: "
            "no account's excess covers another's call.",
            null="none is given; these accounts of a firm and origin are summed",
        ),
        ORIGIN,
        FIRM,
        Column("accounts", WHOLE, "Its accounts."),
        Column("accounts_unknown", WHOLE, "Of these, those whose `call` is null."),
        Column(
            "accounts_incomplete",
            WHOLE,
            "Of these, those with rejected rows of positions: they require at least so much.",
        ),
        *_SUMMED,
        amount(
            "withdrawable_as_one",
            "What may be paid out if the accounts are taken as one, as without separate account "
            "treatment: min(`withdrawable`, max(0, `excess`)).",
            f"{_PART}, or no customer is given",
        ),
    ),
)

_OFF = "an amount of the account is null"
_LEFT = f"{_OFF}; {_NO_DEPOSITS}"
OFF_AMOUNTS = (
    *REQUIRED[:2],
    amount("without_ficc", "What FICC would require at an offset rate of zero.", _AT_FICC),
    amount("without_cme", "The same at CME.", _AT_CME),
    amount("gap_ficc", "`without_ficc` - `required_ficc`.", _OFF),
    amount("gap_cme", "`without_cme` - `required_cme`.", _OFF),
    amount("gap", "What would be due on top if the offset rate were zero: both together.", _OFF),
    amount("ordinary_ficc", "What FICC would require in one ordinary account.", _AT_FICC),
    amount("ordinary_cme", "The same at CME.", _AT_CME),
    amount(
        "gap_ordinary",
        "What would be due on top with all positions in ordinary accounts. Less than `gap` where "
        "positions net there again; negative where they net more than the programme saves.",
        _OFF,
    ),
    *DEPOSIT,
    amount(
        "left_ficc",
        "What of `gap_ficc` is not met by what is on deposit for FICC beyond `required_ficc`.",
        _LEFT,
    ),
    amount("left_cme", "The same at CME.", _LEFT),
    amount("left", "Both together.", _LEFT),
    amount(
        "left_ordinary",
        "The same of the rises at FICC and at CME with all positions in ordinary accounts. A fall "
        "at one of the two meets no rise at the other.",
        _LEFT,
    ),
)
PROGRAMME_OFF = Schema(
    "programme_off",
    (
        ACCOUNT,
        CUSTOMER,
        ORIGIN,
        FIRM,
        ACCOUNTS["status"],
        Column("offset_rate", NUMBER, "The share both clearing houses take off now."),
        *OFF_AMOUNTS,
    ),
)
PROGRAMME_OFF_TOTAL = Schema(
    "programme_off_total",
    (
        Column("accounts", WHOLE, "Accounts in the sums."),
        Column(
            "accounts_unknown",
            WHOLE,
            "Accounts that are not in the sums: a gap, or with deposits what is left of it, is "
            "null.",
        ),
        Column(
            "accounts_incomplete",
            WHOLE,
            "Accounts in the sums with rejected rows of positions: at least so much is required of "
            "them, and they have no benefit to lose until the rows are corrected.",
        ),
        *(
            replace(
                column,
                meaning="The sum over the accounts whose gap is known.",
                null="no deposits are given" if column.name.startswith(("deposit", "left")) else "",
                evidence=None,
            )
            for column in OFF_AMOUNTS
        ),
    ),
)

CALL_TABLES = (CALLS, CUSTOMERS, PROGRAMME_OFF, PROGRAMME_OFF_TOTAL)
