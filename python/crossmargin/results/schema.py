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

SCHEMAS = (
    *RUN_TABLES,
    COMPARE,
    WHAT_IFS,
    IMPACTS,
    INCREMENTS,
    IMPACT_TABLE,
    REVALUATION,
)
"""Every result table."""
