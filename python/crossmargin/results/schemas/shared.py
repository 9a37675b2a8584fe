"""Columns and words that several result tables use."""

from __future__ import annotations

from crossmargin.results.schema import DATE, FLAG, NUMBER, TEXT, Column, Evidence
from crossmargin.results.table import MONEY

STAMPS = (
    Column("as_of", DATE, "The day the book is margined for."),
    Column("cycle", TEXT, "The margin cycle: `ITD`, `CUR`, `EOD` or `EODXM`; see below."),
    Column("run_id", TEXT, "The run that wrote the row. No two runs have the same one."),
)
"""The last columns of every table that a run writes."""

ACCOUNT = Column("account", TEXT, "As in the accounts given.")
FIRM = Column(
    "clearing_firm",
    TEXT,
    "The firm that carries the positions. Rows of an account at other firms are margined apart.",
)

UNPRICED = "the clearing house's model does not price an instrument in it"
NO_RATE = f"{UNPRICED}, or cash and futures are both zero"


def v_column(name: str, ccp: str, what: str) -> Column:
    """Return the column of one model's margin."""
    return Column(name, NUMBER, f"{ccp}-like margin of the cross-margined {what}.", "USD", UNPRICED)


SAVING = (
    Column(
        "offset_rate_ficc",
        NUMBER,
        "The share that FICC's model saves: 1 - combined / (cash + futures), before cap and "
        "minimum. Negative if the two need more margin together.",
        null=NO_RATE,
    ),
    Column(
        "offset_rate_cme",
        NUMBER,
        "The same for CME's model.",
        null=NO_RATE,
    ),
    Column(
        "offset_rate",
        NUMBER,
        "The share both clearing houses take off: the smaller of the two, at most the cap, or what "
        "the policy's table gives; or the one that was given in its place. If it is zero, `reason` "
        "says why.",
        evidence="inferred",
    ),
    Column(
        "binding",
        TEXT,
        "`FICC` or `CME`: the one with the smaller saving; FICC on a tie.",
        null="the offset rate is zero, comes from a table of the policy, or was given",
    ),
    Column("capped", FLAG, "Whether the cap limits the offset rate.", evidence="confirmed"),
    Column(
        "reason",
        TEXT,
        "Why the offset rate is zero. The first that applies: `NOT_ELIGIBLE`; `INCOMPLETE`, a row "
        "is rejected or a cross-margined position is unpriced; `ONE_SIDED`, cash or futures are "
        "missing; `NO_SAVING`, not positive; `BELOW_MINIMUM`; `GIVEN`, a zero was given, or what "
        "a fallback says.",
        null="the offset rate is not zero",
    ),
)
"""What was agreed for an account; `tables.saving_columns` has the cells."""


def amount(
    name: str, meaning: str, null: str = UNPRICED, evidence: Evidence | None = None
) -> Column:
    """Return a column of amounts."""
    return Column(name, MONEY, meaning, "USD", null, evidence)


ANY_UNPRICED = "an instrument of the account is unpriced at its own clearing house"

MONEY_COLUMNS = (
    amount(
        "requirement_ficc",
        "Margin of the cross-margined cash at FICC after the offset, with the charges on it.",
        evidence="inferred",
    ),
    amount(
        "requirement_cme",
        "Margin of the cross-margined futures at CME after the offset, with their charges.",
        evidence="inferred",
    ),
    amount("other_ficc", "Margin of all other positions at FICC, with their charges."),
    amount("other_cme", "Margin of all other futures at CME, with their charges."),
    amount("other_ccps", "Margin at clearing houses outside the programme."),
    amount("requirement", "The sum of the five amounts before it.", ANY_UNPRICED),
    amount(
        "house_requirement",
        "After the firm's own terms: max(multiplier * requirement, floor, minimum).",
        ANY_UNPRICED,
    ),
    amount(
        "programme_saving",
        "`offset_rate` * (`v_ficc_cash` + `v_cme_futures`): what the clearing houses report.",
        "one of the two V is null",
    ),
    amount(
        "standalone_requirement",
        "What the account would pay with all its positions in ordinary accounts.",
        ANY_UNPRICED,
    ),
    amount(
        "saving",
        "`standalone_requirement` - `requirement`. Negative if moving futures into the "
        "cross-margin account costs more than it saves.",
        ANY_UNPRICED,
    ),
)
"""The amounts of every `Requirements`; `tables.money_columns` has the cells."""

CAVEATS = (
    Column(
        "saving_is_upper_bound",
        FLAG,
        "A cross-margined Treasury future moves without its basis in most scenarios. Hedges look "
        "better than they are, and the saving is likely too large. An assumed basis counts as "
        "known. False where the offset rate comes from a table of the policy.",
        evidence="ours",
    ),
    Column(
        "spread_risk",
        TEXT,
        "`not modelled`: short-rate futures move with the Treasury curve, or under a policy with "
        "`short_rates` with its notes and the funds rate. There is no SOFR history, or it covers "
        "less than half of the scenarios.",
        null="it is modelled, or there are no short-rate futures",
        evidence="ours",
    ),
)
"""The caveats on an account's figures; `tables.caveat_columns` has the cells."""
