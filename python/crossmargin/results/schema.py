"""The result tables as data: their columns, and what each column says.

Every result table is built from its schema, so every column has a description.
`crossmargin.results.describe` writes the tables of ``docs/columns.md`` from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from crossmargin.columns import Column as Cells
from crossmargin.results.table import MONEY

SCHEMA_VERSION = "2"
"""Version of the result tables. It changes when a column changes its name or meaning."""

Evidence = Literal["confirmed", "inferred", "unconfirmed", "ours"]

TEXT, NUMBER, WHOLE, FLAG, DATE = (
    pa.string(),
    pa.float64(),
    pa.int64(),
    pa.bool_(),
    pa.date32(),
)


@dataclass(frozen=True)
class Column:
    """One column of a result table.

    Attributes
    ----------
    name, type
        Header and Arrow type.
    meaning
        What a cell says, in Markdown.
    unit
        Unit of a number; empty for a count, a share, and anything that is not a number.
    null
        When a cell is null; empty if it never is.
    evidence
        How well the rule behind the column is known, in the words of policies; empty if no single
        word fits. The parameters of a rule have their own evidence, in the policy.
    """

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    null: str = ""
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Schema:
    """One result table.

    Attributes
    ----------
    name
        Name of the table.
    columns
        Its columns, in their order.
    carries
        Whether the user's own columns follow them.
    """

    name: str
    columns: tuple[Column, ...]
    carries: bool = False

    def __getitem__(self, name: str) -> Column:
        """Return the column with a name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def arrow(self) -> pa.Schema:
        """The columns as an Arrow schema."""
        return pa.schema([(column.name, column.type) for column in self.columns])

    def table(
        self, cells: Mapping[str, Cells], carried: Mapping[str, Cells] | None = None
    ) -> pa.Table:
        """Return the table of these cells, checked against the schema.

        Parameters
        ----------
        cells : dict of str to Arrow array, [N] each
            Exactly the columns of the schema, in any order.
        carried : dict of str to Arrow array, [N] each, optional
            The user's own columns, if the table carries them; they come after ours.

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        ValueError
            A column is missing, not in the schema, of another type, or null where it never is.
        """
        names = [column.name for column in self.columns]
        if set(cells) != set(names):
            lacking, unknown = set(names) - set(cells), set(cells) - set(names)
            raise ValueError(
                f"{self.name}: lacks {', '.join(sorted(lacking)) or 'nothing'}, has "
                f"{', '.join(sorted(unknown)) or 'nothing'} beside the columns of its schema"
            )
        for column in self.columns:
            given = cells[column.name]
            if given.type != column.type:
                raise ValueError(
                    f"{self.name}.{column.name}: {column.type} expected, got {given.type}"
                )
            if given.null_count and not column.null:
                raise ValueError(
                    f"{self.name}.{column.name}: {given.null_count} nulls, none expected"
                )
        if carried and (not self.carries or set(carried) & set(names)):
            raise ValueError(f"{self.name}: does not carry {', '.join(carried)}")
        return pa.table({**{name: cells[name] for name in names}, **(carried or {})})


STAMPS = (
    Column("as_of", DATE, "The day the book is margined for."),
    Column("cycle", TEXT, "The margin cycle: `ITD`, `EOD`, `EODXM` or `CUR`; see below."),
    Column("run_id", TEXT, "The run that wrote the row. No two runs have the same one."),
)
"""The last columns of every table that a run writes."""

_ACCOUNT = Column("account", TEXT, "As in the accounts given.")
_FIRM = Column(
    "clearing_firm",
    TEXT,
    "The firm that carries the positions. Rows of an account at other firms are margined apart.",
)

_UNPRICED = "the clearing house's model does not price an instrument in it"
_NO_RATE = f"{_UNPRICED}, or cash and futures are both zero"


def _v(name: str, ccp: str, what: str) -> Column:
    """Return the column of one model's margin."""
    return Column(
        name, NUMBER, f"{ccp}-like margin of the cross-margined {what}.", "USD", _UNPRICED
    )


_SAVING = (
    Column(
        "offset_rate_ficc",
        NUMBER,
        "The share that FICC's model saves: 1 - combined / (cash + futures), before cap and "
        "minimum. Negative if the two need more margin together.",
        null=_NO_RATE,
    ),
    Column(
        "offset_rate_cme",
        NUMBER,
        "The same for CME's model.",
        null=_NO_RATE,
    ),
    Column(
        "offset_rate",
        NUMBER,
        "The share both clearing houses take off: the smaller of the two, at most the cap, or what "
        "the policy's table gives. If it is zero, `reason` says why.",
        evidence="inferred",
    ),
    Column(
        "binding",
        TEXT,
        "`FICC` or `CME`: the one with the smaller saving; FICC on a tie.",
        null="the offset rate is zero, or comes from a table of the policy",
    ),
    Column("capped", FLAG, "Whether the cap limits the offset rate.", evidence="confirmed"),
    Column(
        "reason",
        TEXT,
        "Why the offset rate is zero. The first that applies: `NOT_ELIGIBLE`; `INCOMPLETE`, a row "
        "is rejected or a cross-margined position is unpriced; `ONE_SIDED`, cash or futures are "
        "missing; `NO_SAVING`, not positive; `BELOW_MINIMUM`.",
        null="the offset rate is not zero",
    ),
)
"""What was agreed for an account; `tables.saving_columns` has the cells."""


def _amount(
    name: str, meaning: str, null: str = _UNPRICED, evidence: Evidence | None = None
) -> Column:
    """Return a column of amounts."""
    return Column(name, MONEY, meaning, "USD", null, evidence)


_ANY_UNPRICED = "an instrument of the account is unpriced at its own clearing house"

_MONEY = (
    _amount(
        "requirement_ficc",
        "Margin of the cross-margined cash at FICC after the offset, with the charges on it.",
        evidence="inferred",
    ),
    _amount(
        "requirement_cme",
        "Margin of the cross-margined futures at CME after the offset, with their charges.",
        evidence="inferred",
    ),
    _amount("other_ficc", "Margin of all other positions at FICC, with their charges."),
    _amount("other_cme", "Margin of all other futures at CME, with their charges."),
    _amount("other_ccps", "Margin at clearing houses outside the programme."),
    _amount("requirement", "The sum of the five amounts before it.", _ANY_UNPRICED),
    _amount(
        "house_requirement",
        "After the firm's own terms: max(multiplier * requirement, floor, minimum).",
        _ANY_UNPRICED,
    ),
    _amount(
        "programme_saving",
        "`offset_rate` * (`v_ficc_cash` + `v_cme_futures`): what the clearing houses report.",
        "one of the two V is null",
    ),
    _amount(
        "standalone_requirement",
        "What the account would pay with all its positions in ordinary accounts.",
        _ANY_UNPRICED,
    ),
    _amount(
        "saving",
        "`standalone_requirement` - `requirement`. Negative if moving futures into the "
        "cross-margin account costs more than it saves.",
        _ANY_UNPRICED,
    ),
)
"""The amounts of every `Requirements`; `tables.money_columns` has the cells."""

_CAVEATS = (
    Column(
        "saving_is_upper_bound",
        FLAG,
        "A cross-margined Treasury future moves without its basis in most scenarios. Hedges look "
        "better than they are, and the saving is likely too large. False where the offset rate "
        "comes from a table of the policy.",
        evidence="ours",
    ),
    Column(
        "spread_risk",
        TEXT,
        "`not modelled`: short-rate futures move with the Treasury curve. There is no SOFR "
        "history, or it covers less than half of the scenarios.",
        null="it is modelled, or there are no short-rate futures",
        evidence="ours",
    ),
)
"""The caveats on an account's figures; `tables.caveat_columns` has the cells."""

CARRIED = (
    Column("customer", TEXT, "The legal customer, as given.", null="none is given"),
    replace(_FIRM, meaning="The firm that carries the account, as given."),
    Column("origin", TEXT, "`house` or `customer`, as given."),
    Column("ficc_role", TEXT, "The account's role at FICC, as given."),
)
"""Columns of the given accounts that go to the results, before the user's own."""

ACCOUNTS = Schema(
    "accounts",
    (
        _ACCOUNT,
        Column(
            "status",
            TEXT,
            "`complete`; `incomplete`, rows are rejected or something is unpriced, anywhere in the "
            "account; `not_eligible`.",
        ),
        Column(
            "rows_rejected",
            WHOLE,
            "Rejected input rows that name the account. The amounts leave them out, and so are too "
            "low.",
        ),
        _v("v_ficc_cash", "FICC", "cash"),
        _v("v_ficc_futures", "FICC", "futures"),
        _v("v_ficc_combined", "FICC", "cash and futures together"),
        _SAVING[0],
        _v("v_cme_futures", "CME", "futures"),
        _v("v_cme_cash", "CME", "cash"),
        _v("v_cme_combined", "CME", "cash and futures together"),
        *_SAVING[1:],
        *_MONEY,
        _amount(
            "unused_saving",
            "At least so much less would be due with other futures in the cross-margin account: by "
            "the best of a few simple choices. `crossmargin optimise` searches for the best.",
            f"{_ANY_UNPRICED}, or rows are rejected",
            evidence="ours",
        ),
        *_CAVEATS,
        *CARRIED,
    ),
    carries=True,
)

COMPONENTS = Schema(
    "components",
    (
        _ACCOUNT,
        _FIRM,
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
            _UNPRICED,
        ),
        Column("reducible", FLAG, "Whether the offset rate reduces it."),
    ),
)

BREAKDOWN = Schema(
    "breakdown",
    (
        _ACCOUNT,
        _FIRM,
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
        _ACCOUNT,
        _FIRM,
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

RUN_TABLES = (ACCOUNTS, COMPONENTS, BREAKDOWN, POSITIONS, EXCEPTIONS)
"""What a run writes, each followed by `STAMPS`."""

COMPARED = (
    "offset_rate",
    "requirement",
    "saving",
    "reason",
    "saving_is_upper_bound",
    "spread_risk",
)
"""Columns of accounts that a comparison shows side by side."""


def has_difference(column: Column) -> bool:
    """Return whether a comparison shows a column's difference too, as for all numbers."""
    return column.type in (NUMBER, MONEY)


def _side_by_side(column: Column) -> Iterator[Column]:
    """Return the columns of a comparison for one column of accounts."""
    for end in "ab":
        lacks = f"run {end.upper()} lacks the account"
        yield replace(
            column,
            name=f"{column.name}_{end}",
            meaning=f"`{column.name}` of run {end.upper()}.",
            null=f"{lacks}, or it is null there" if column.null else lacks,
            evidence=None,
        )
    if has_difference(column):
        yield replace(
            column,
            name=f"{column.name}_difference",
            meaning="B minus A.",
            null="one of the two is null",
            evidence=None,
        )


COMPARE = Schema(
    "compare",
    (
        replace(_ACCOUNT, meaning="The accounts of A in its order, then those that only B has."),
        Column(
            "only_in",
            TEXT,
            "`a` or `b` if only that run has the account.",
            null="both runs have it",
        ),
        *(column for name in COMPARED for column in _side_by_side(ACCOUNTS[name])),
    ),
)

WHAT_IFS = Schema("what_ifs", (_ACCOUNT, *_SAVING, *_MONEY, *_CAVEATS))


def _before_and_after(column: Column) -> Iterator[Column]:
    """Return the columns of an impact for one column of what-ifs."""
    for when in ("before", "after"):
        yield replace(
            column,
            name=f"{column.name}_{when}",
            meaning=f"`{column.name}` {when} the trades and moves.",
            evidence=None,
        )
    if has_difference(column):
        yield replace(
            column,
            name=f"{column.name}_difference",
            meaning="After minus before.",
            null="one of the two is null" if column.null else "",
            evidence=None,
        )


_IMPACT = {column.name: tuple(_before_and_after(column)) for column in WHAT_IFS.columns[1:]}

IMPACTS = Schema(
    "impacts",
    (
        Column("question", TEXT, "Its name, as given, or else its number from 1."),
        _ACCOUNT,
        *(column for group in _IMPACT.values() for column in group),
    ),
)

INCREMENTS = Schema(
    "increments",
    (
        _ACCOUNT,
        Column(
            "part",
            TEXT,
            "`single`: what the leg changes by itself. `pair`: what both legs together change "
            "beyond the sum of each by itself. `remainder`: everything else, so that all rows "
            "add up to the difference between after and before.",
        ),
        Column(
            "leg",
            TEXT,
            "The trade, such as `ZNM25 -500`, or `move ZNU26 300`.",
            null="the remainder",
        ),
        Column("with_leg", TEXT, "The other one of a pair.", null="any other part"),
        *(
            replace(column, meaning=f"What the part adds to `{column.name}`.", evidence=None)
            for column in _MONEY
        ),
    ),
)

IMPACT_TABLE = Schema(
    "impact_table",
    (
        _ACCOUNT,
        Column("tenor", TEXT, "`2-Year` to `30-Year` of a benchmark, or the root of a future."),
        Column("instrument", TEXT, "CUSIP or contract."),
        Column("quantity", WHOLE, "What is traded; long is positive.", "USD of face, or contracts"),
        *(
            column
            for name in ("requirement", "offset_rate", "saving", "binding", "capped", "reason")
            for column in _IMPACT[name]
        ),
    ),
)

REVALUATION = Schema(
    "revaluation",
    (
        _ACCOUNT,
        replace(COMPONENTS["portfolio"], meaning="As in components; only those with positions."),
        Column("v_sensitivity", NUMBER, "FICC-like margin by sensitivities.", "USD", _UNPRICED),
        Column("v_full", NUMBER, "FICC-like margin by full revaluation.", "USD", _UNPRICED),
        Column("difference", NUMBER, "Full minus sensitivities.", "USD", _UNPRICED),
    ),
)

_EXPLAINED_V = (
    _FIRM,
    COMPONENTS["ccp"],
    replace(COMPONENTS["portfolio"], meaning="As in components; only those with positions."),
)
"""Which V a row of an explanation is about."""

EXPLAIN_COMPONENTS = Schema(
    "explain_components",
    (
        *_EXPLAINED_V,
        replace(COMPONENTS["component"], meaning="As in components, without charges."),
        replace(COMPONENTS["amount"], meaning="As in components."),
        Column(
            "weight",
            NUMBER,
            "The component's share in V: zero where another one decides, 1 for `V` itself. `MMA` "
            "contains the haircut amount where there is one.",
        ),
        Column("decides", FLAG, "Whether the weight is not zero; false for `V` itself."),
    ),
)

EXPLAIN_TAILS = Schema(
    "explain_tails",
    (
        *_EXPLAINED_V,
        Column("component", TEXT, "The VaR whose tail it is."),
        Column("rank", WHOLE, "1 for the worst scenario; the last rank is the VaR."),
        Column("scenario", TEXT, "The date on which the move ends, or the name in your own cube."),
        Column("tag", TEXT, "`stress` or `look-back`.", null="the scenario has no date"),
        Column("pnl", NUMBER, "P&L of the margin portfolio; a loss is negative.", "USD"),
        Column(
            "weight",
            NUMBER,
            "The scenario's weight in V: the component's weight for the last rank, else zero.",
        ),
        Column("es_weight", NUMBER, "Its weight in the expected shortfall at the same level."),
    ),
)

EXPLAIN_CONTRIBUTIONS = Schema(
    "explain_contributions",
    (
        *_EXPLAINED_V,
        Column("level", TEXT, "`position`, `product`, `tenor` or `leg`. Each level sums to V."),
        Column(
            "item",
            TEXT,
            "The instrument; root or type of security; bucket of remaining years; `cash` or "
            "`futures`. `not decomposed` is what the model does not share out.",
        ),
        Column(
            "amount",
            MONEY,
            "What it adds to V. A VaR's part is the loss in its tail scenario.",
            "USD",
            _UNPRICED,
            "ours",
        ),
        Column(
            "smoothed",
            MONEY,
            "The same, with a VaR's part as a mean over neighbouring scenarios, scaled to V.",
            "USD",
            _UNPRICED,
            "ours",
        ),
        Column(
            "expected_shortfall",
            MONEY,
            "What it adds to the expected shortfall of the deciding VaRs, each times its weight.",
            "USD",
            f"no VaR decides, or {_UNPRICED}",
            "ours",
        ),
    ),
)

EXPLAIN_POSITIONS = Schema(
    "explain_positions",
    (
        replace(_FIRM, null="`not decomposed`"),
        replace(POSITIONS["segment"], null="`not decomposed`"),
        Column("instrument", TEXT, "As in positions; `not decomposed` for what cannot be shared."),
        replace(POSITIONS["kind"], null="`not decomposed`"),
        Column("product", TEXT, "Root, or type of security.", null="`not decomposed`"),
        Column(
            "tenor",
            TEXT,
            "Bucket of remaining years, as in FICC's floor. A Treasury future has those of its "
            "cheapest security, a short-rate future those to its month.",
            null="`not decomposed`",
        ),
        Column("leg", TEXT, "`cash` or `futures`.", null="`not decomposed`"),
        replace(POSITIONS["quantity"], null="`not decomposed`"),
        _amount(
            "requirement",
            "What the line adds to `requirement`, with the offset rate moving with the positions.",
            _ANY_UNPRICED,
            "ours",
        ),
        _amount(
            "at_fixed_rate",
            "What it adds to `requirement` at the offset rate as it is.",
            _ANY_UNPRICED,
            "ours",
        ),
        _amount("programme_saving", "What it adds to `programme_saving`.", _ANY_UNPRICED, "ours"),
        _amount(
            "standalone_requirement",
            "What it adds to `standalone_requirement`.",
            _ANY_UNPRICED,
            "ours",
        ),
    ),
)

EXPLAIN_OFFSET = Schema(
    "explain_offset",
    (
        Column("ccp", TEXT, "`FICC` or `CME`."),
        Column("v_cash", NUMBER, "Its V of the cross-margined cash.", "USD", _UNPRICED),
        Column(
            "v_futures", NUMBER, "This model's V of the cross-margined futures.", "USD", _UNPRICED
        ),
        Column(
            "v_combined",
            NUMBER,
            "This model's V of the cross-margined cash and futures together.",
            "USD",
            _UNPRICED,
        ),
        Column(
            "offset_rate",
            NUMBER,
            "1 - combined / (cash + futures) in this model.",
            null=_NO_RATE,
        ),
        Column("binds", FLAG, "Whether the offset rate is this one."),
        Column("capped", FLAG, "Whether it binds and the cap limits it."),
    ),
)

EXPLAIN_WITHOUT = Schema(
    "explain_without",
    (
        _FIRM,
        POSITIONS["segment"],
        POSITIONS["instrument"],
        POSITIONS["quantity"],
        Column("offset_rate", NUMBER, "The account's offset rate without the line."),
        replace(_SAVING[3], meaning="What binds without the line."),
        replace(_SAVING[5], meaning="Why the offset rate is zero without the line."),
        _amount("requirement", "The account's requirement without the line.", _ANY_UNPRICED),
        _amount(
            "difference",
            "That minus today's requirement; negative if the account pays less without the line.",
            _ANY_UNPRICED,
        ),
    ),
)

EXPLAIN_EPISODES = Schema(
    "explain_episodes",
    (
        Column("episode", TEXT, "Its name."),
        Column("first", DATE, "Its first day."),
        Column("last", DATE, "Its last day."),
        Column("source", TEXT, "What the month is remembered for.", evidence="ours"),
        Column("horizon", WHOLE, "Length of the move.", "business days"),
        Column("leg", TEXT, "`cash`, `futures` or `both`; only those that are held."),
        Column("covered", TEXT, "How far the history covers it: `whole`, `part` or `none`."),
        Column(
            "date",
            DATE,
            "The day on which the worst move ends.",
            null="the P&L is null",
        ),
        Column(
            "pnl",
            NUMBER,
            "P&L of today's positions in the worst move that ends in the episode.",
            "USD",
            "the history has no such move, or an instrument has no price",
        ),
    ),
)

EXPLAIN_ERRORS = Schema(
    "explain_errors",
    (
        *_EXPLAINED_V,
        Column("component", TEXT, "The VaR."),
        Column("measure", TEXT, "`VaR`, or `ES` at the same level."),
        Column("amount", NUMBER, "The measure.", "USD"),
        Column(
            "lower",
            NUMBER,
            "Lower end of the interval of the VaR, an order statistic.",
            "USD",
            "`ES`, or there are too few scenarios",
        ),
        Column(
            "upper",
            NUMBER,
            "Upper end.",
            "USD",
            "`ES`, or there are too few scenarios beyond the VaR",
        ),
        Column(
            "coverage",
            NUMBER,
            "Probability that the interval holds the quantile, if scenarios are independent: 95% "
            "or a little more.",
            null="an end is null",
        ),
        Column(
            "standard_error", NUMBER, "By a bootstrap of single scenarios.", "USD", evidence="ours"
        ),
        Column(
            "block_error",
            NUMBER,
            "By a bootstrap of blocks of consecutive scenarios, for moves that overlap.",
            "USD",
            evidence="ours",
        ),
        Column("block", WHOLE, "Scenarios in a block."),
        Column("samples", WHOLE, "Samples of each bootstrap."),
    ),
)

EXPLAIN_ALTERNATIVES = Schema(
    "explain_alternatives",
    (
        *_EXPLAINED_V,
        Column("component", TEXT, "The VaR that is measured otherwise; `V` for a horizon."),
        Column("kind", TEXT, "`definition`, `look-back` or `horizon`."),
        Column("definition", TEXT, "In words."),
        Column("in_use", FLAG, "Whether it is the model's own."),
        Column(
            "amount",
            NUMBER,
            "What it would be.",
            "USD",
            "there are too few scenarios, the history is too short, or the P&L is your own and has "
            "one horizon",
        ),
    ),
)

EXPLAINED = (
    EXPLAIN_COMPONENTS,
    EXPLAIN_TAILS,
    EXPLAIN_CONTRIBUTIONS,
    EXPLAIN_POSITIONS,
    EXPLAIN_OFFSET,
    EXPLAIN_WITHOUT,
    EXPLAIN_EPISODES,
    EXPLAIN_ERRORS,
    EXPLAIN_ALTERNATIVES,
)
"""The tables of an explanation."""

_STEP_MEANINGS = (
    ("positions", "The trades of the later run take the place of the earlier ones."),
    ("time", "The as-of date of the later run."),
    ("market", "Its curves, fixings and prices of securities."),
    ("scenarios_out", "Scenarios that it no longer has are left out."),
    ("scenarios_in", "Its new scenarios come."),
    ("scenario_sizes", "All other scenarios, and the history, as it has them."),
    ("other_inputs", "Its accounts, firms, securities, volumes, own P&L and SPAN file."),
    ("policy", "Its policy."),
    ("not_told_apart", "What the steps that are null come to together."),
)
_NOT_BOTH = "it is unknown in one of the two runs"
_BETWEEN = "it is unknown before or after the step"


def _change_parts(null: str) -> tuple[Column, ...]:
    """Return the columns of a change in one step, by clearing house."""
    return (
        Column("requirement", MONEY, "Change of the requirement.", "USD", null),
        Column("ficc", MONEY, "The part of it at FICC.", "USD", null),
        Column("cme", MONEY, "The part of it at CME.", "USD", null),
        Column("other_ccps", MONEY, "The part of it at other clearing houses.", "USD", null),
    )


_STEP = Column(
    "step",
    TEXT,
    "What is taken from the later run: `positions`, `time`, `market`, `scenarios out`, "
    "`scenarios in`, `scenario sizes`, `other inputs`, `policy`; then `not told apart`.",
)

ATTRIBUTION_BOOK = Schema(
    "attribution_book",
    (
        _STEP,
        Column("what", TEXT, "What changed, in words.", null="nothing did"),
        Column("accounts", WHOLE, "Accounts whose requirement changes in the step."),
        *_change_parts("the book is one account, unknown before or after the step"),
    ),
)

ATTRIBUTION_ACCOUNTS = Schema(
    "attribution_accounts",
    (
        replace(
            _ACCOUNT,
            meaning="Those of the earlier run in its order, then those that only the later one "
            "has.",
        ),
        Column(
            "only_in",
            TEXT,
            "`before` or `after` if only that run has the account; it counts as zero in the other.",
            null="both runs have it",
        ),
        Column("before", MONEY, "Requirement in the earlier run.", "USD", _UNPRICED),
        Column("after", MONEY, "Requirement in the later run.", "USD", _UNPRICED),
        Column("change", MONEY, "After minus before: the sum of the steps.", "USD", _NOT_BOTH),
        *(
            Column(
                name,
                MONEY,
                meaning,
                "USD",
                _NOT_BOTH if name == "not_told_apart" else _BETWEEN,
            )
            for name, meaning in _STEP_MEANINGS
        ),
    ),
)

ATTRIBUTION = Schema("attribution", (_ACCOUNT, _STEP, *_change_parts(_BETWEEN)))

ATTRIBUTION_POSITIONS = Schema(
    "attribution_positions",
    (
        _ACCOUNT,
        replace(_FIRM, null="it is the account's own"),
        POSITIONS["ccp"],
        POSITIONS["xm"],
        POSITIONS["instrument"],
        POSITIONS["kind"],
        Column("before", WHOLE, "Net quantity in the earlier run.", "USD of face, or contracts"),
        Column("after", WHOLE, "Net quantity in the later run.", "USD of face, or contracts"),
        Column("change", WHOLE, "After minus before.", "USD of face, or contracts"),
        Column(
            "change_dv01",
            NUMBER,
            "What the change gains when the curve falls by one basis point, on the earlier run's "
            "market where it has the instrument.",
            "USD",
            "no model prices the instrument",
        ),
    ),
)

ATTRIBUTION_SCENARIOS = Schema(
    "attribution_scenarios",
    (
        Column("date", DATE, "The end date of the scenario's move."),
        Column("change", TEXT, "`left` if only the earlier run has it, `came` if only the later."),
        Column("horizon", WHOLE, "The move's business rows of the history."),
    ),
)

_TENORS = ("2", "5", "10", "30")


def _basis_points(what: str, null: str = "") -> tuple[Column, ...]:
    """Return the columns of a move of the Treasury curve at the tenors that desks look at."""
    return tuple(
        Column(f"bp_{name}", NUMBER, f"{what} of the {name}-year zero rate.", "bp", null)
        for name in _TENORS
    )


_NO_MOVE = "no such move was found; `reason` says why"

STRESS_MOVES = Schema(
    "stress_moves",
    (
        Column(
            "move",
            TEXT,
            "`mildest` of the first components together; `component 1 up` and so on; `one "
            "scenario`; `mixture`.",
        ),
        Column(
            "standard_deviations",
            NUMBER,
            "Mahalanobis length: of components among these, of scenarios among all factors.",
            null=_NO_MOVE,
        ),
        Column(
            "multiple",
            NUMBER,
            "How many times the scenario, or the mixture with weights that sum to one.",
            null=f"it is a move of components, or {_NO_MOVE}",
        ),
        *_basis_points("Change", _NO_MOVE),
        Column("loss", NUMBER, "Loss of all lines by full revaluation.", "USD", _NO_MOVE),
        Column("loss_ficc", NUMBER, "The part of it at FICC.", "USD", _NO_MOVE),
        Column("loss_cme", NUMBER, "The part of it at CME.", "USD", _NO_MOVE),
        Column("loss_other_ccps", NUMBER, "At other clearing houses.", "USD", _NO_MOVE),
        Column("reason", TEXT, "Why there is no such move.", null="there is one"),
    ),
)

STRESS_SCENARIOS = Schema(
    "stress_scenarios",
    (
        Column("move", TEXT, "`one scenario` or `mixture`."),
        Column("date", DATE, "The end date of the scenario's move."),
        Column("tag", TEXT, "`stress` for a date in a period of stress.", null="it is in none"),
        Column("weight", NUMBER, "Its share of the mixture."),
    ),
)

STRESS_COMPONENTS = Schema(
    "stress_components",
    (
        Column("component", WHOLE, "From 1, the largest first."),
        Column("share", NUMBER, "Its share of the summed mean squares of the zero rates."),
        *_basis_points("One standard deviation"),
    ),
)

_NO_CHOICE = "the account has no choice, or its requirement is unknown"

ALLOCATIONS = Schema(
    "allocations",
    (
        _ACCOUNT,
        Column(
            "outcome",
            TEXT,
            "`moved`: there are transfers. `kept`: nothing found is better than what is there. Or "
            "why there is no choice: `NOT_ELIGIBLE`, `INCOMPLETE`, `UNPRICED`, or `NO_FUTURES` "
            "that may be moved.",
        ),
        _amount("requirement", "As in accounts: with the futures where they are.", _ANY_UNPRICED),
        _amount(
            "requirement_none",
            "With all futures that may be moved in the ordinary account.",
            _ANY_UNPRICED,
        ),
        _amount("requirement_after", "After the transfers.", _ANY_UNPRICED),
        _amount(
            "unused_saving", "`requirement` - `requirement_after`.", _ANY_UNPRICED, evidence="ours"
        ),
        Column("transfers", WHOLE, "Lines to move."),
        _amount(
            "lower_bound",
            "No choice from none to all of each line goes below it, whatever the number of "
            "transfers.",
            _NO_CHOICE,
            evidence="ours",
        ),
        Column(
            "gap",
            NUMBER,
            "(`requirement_after` - `lower_bound`) / `requirement_after`: at most this share of it "
            "could still be saved.",
            "fraction",
            _NO_CHOICE,
            "ours",
        ),
        Column(
            "optimal",
            FLAG,
            "The bound is less than a tenth of a thousandth below `requirement_after`, or within "
            "20 cents of it: no choice is better by more than that.",
            null=_NO_CHOICE,
            evidence="ours",
        ),
        replace(_SAVING[2], meaning="As in accounts: with the futures where they are."),
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
    ),
)

ALLOCATION_LINES = Schema(
    "allocation_lines",
    (
        _ACCOUNT,
        Column("instrument", TEXT, "The future."),
        Column("total", WHOLE, "Contracts in both accounts, long positive.", "contracts"),
        Column("crossed", WHOLE, "Of these, in the cross-margin account now.", "contracts"),
        Column("crossed_after", WHOLE, "In the cross-margin account afterwards.", "contracts"),
        _amount(
            "one_more",
            "What the requirement would change with one more contract in the cross-margin account "
            "than afterwards, toward `total`.",
            "there is no more to move, or a requirement is unknown",
        ),
        _amount(
            "one_less",
            "The same with one contract less, toward none.",
            "there is none to move back, or a requirement is unknown",
        ),
    ),
)

TRANSFERS = Schema(
    "transfers",
    (
        _ACCOUNT,
        Column("instrument", TEXT, "The future."),
        Column("contracts", WHOLE, "How many to move.", "contracts"),
        Column(
            "moves",
            TEXT,
            "`in`: from the ordinary to the cross-margin account. `out`: back.",
        ),
        Column("cross_margin_side", TEXT, "`BUY` or `SELL` in the cross-margin account."),
        Column("ordinary_side", TEXT, "The opposite in the ordinary account."),
        _amount(
            "saves",
            "What the requirement would be more with this transfer alone left out.",
            _ANY_UNPRICED,
        ),
    ),
)

BOOKINGS = Schema(
    "bookings",
    (
        Column("transfer_id", TEXT, "The same for both rows of a transfer, as in transfers.xml."),
        _ACCOUNT,
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

SCHEMAS = (
    *RUN_TABLES,
    COMPARE,
    WHAT_IFS,
    IMPACTS,
    INCREMENTS,
    IMPACT_TABLE,
    REVALUATION,
    *EXPLAINED,
    *ALLOCATION_TABLES,
    ATTRIBUTION_BOOK,
    ATTRIBUTION_ACCOUNTS,
    ATTRIBUTION,
    ATTRIBUTION_POSITIONS,
    ATTRIBUTION_SCENARIOS,
    STRESS_MOVES,
    STRESS_SCENARIOS,
    STRESS_COMPONENTS,
)
"""Every result table."""
