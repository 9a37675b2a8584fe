"""Our figures beside those that the clearing houses report, and why they differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.analysis.reconciled.causes import RATES, Facts, likeliest
from crossmargin.analysis.reconciled.lines import Lines, compare_lines
from crossmargin.arrays import Float, Integer, Mask, Text
from crossmargin.book.programme import OWN_TABLE, RATE_HEADERS
from crossmargin.calculation.result import RunResult
from crossmargin.calculation.store import read_tables
from crossmargin.conventions import CME_XM, FICC_XM, SEGMENTS
from crossmargin.exact import cents
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.io.observed import BY_ACCOUNT, Observed, read_observed
from crossmargin.io.results import RECONCILIATION, write_results
from crossmargin.io.tables import Source
from crossmargin.policies import AgreementRules, read_policy
from crossmargin.results.schemas.reconcile import RECONCILED_ACCOUNTS, RECONCILED_COMPONENTS
from crossmargin.results.table import Table, money
from crossmargin.results.tables import exception_table

TOLERANCE_USD = 1.0
"""USD; both sides round each of their components, so cents may differ."""
TOLERANCE_RATE = 1e-4
"""A hundredth of a percentage point; a percentage with two decimals is within half of it."""
MOST_TOLERANCE = 1e12
"""Tolerances are less; no amount that is reported differs by so much."""
GRIDS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Steps to which rates may be rounded, the coarsest first."""
COMPONENTS = tuple(
    column.name
    for column in OWN_TABLE.columns
    if column.kind == "number" and column.name not in ("run", *RATE_HEADERS)
)
"""Amounts that are compared if they are reported."""


@dataclass(frozen=True)
class Reconciliation:
    """Ours beside observed.

    Attributes
    ----------
    accounts : Table
        A row per account: whether anything breaks, and the likeliest cause.
    components : Table
        A row per account and component that is reported.
    positions : Table
        A row per account and instrument, if positions are reported.
    offset_rates : Table
        `account`, `offset_rate`: what was applied there, for `with_offset_rates`. Accounts of the
        run alone.
    exceptions : Table
        Rows of the reports that are set aside, and notes.
    manifest : dict
        Which run and reports were compared, and the counts.
    """

    accounts: Table
    components: Table
    positions: Table
    offset_rates: Table
    exceptions: Table
    manifest: dict[str, Any]

    @property
    def breaks(self) -> int:
        """How many accounts break."""
        return int(columns.flags(self.accounts["is_break"]).sum())

    def write(self, out: str | Path) -> Path:
        """Write the tables (Parquet) and the manifest to a directory, whole or not at all.

        Parameters
        ----------
        out : str or Path
            The directory. An earlier reconciliation there is replaced.

        Raises
        ------
        InputError
            The directory holds something else, or cannot be written.
        """
        names = ("accounts", "components", "positions", "offset_rates", "exceptions")
        tables = {name: getattr(self, name).to_arrow() for name in names}
        return write_results(out, tables, self.manifest, what=RECONCILIATION)

    def __repr__(self) -> str:
        """Return how much breaks, as text."""
        return (
            f"<Reconciliation {self.manifest['as_of']} {self.manifest['cycle']}: "
            f"{self.breaks:,} of {len(self.accounts):,} accounts break>"
        )


def reconcile(
    run: RunResult | str | Path,
    observed: Source | Sequence[Source],
    *,
    tolerance_usd: float = TOLERANCE_USD,
    tolerance_rate: float = TOLERANCE_RATE,
) -> Reconciliation:
    """Return our figures beside those that the clearing houses report.

    Parameters
    ----------
    run : RunResult or path
        A run, or the directory of its results. Futures-equivalents need its stages.
    observed : path or table, or a list of them
        The exchange's XMFICCMARGINSAVINGS, or a table with `account` and columns of our accounts
        table; XMFICCCUSIP; XMFICCPOSN. They are told by their headers. At most one of each.
    tolerance_usd : float
        The largest difference of an amount that is no break, USD.
    tolerance_rate : float
        The largest difference of a rate that is no break, as a share: 0.0001 is a hundredth of a
        percentage point.

    Returns
    -------
    Reconciliation

    Raises
    ------
    TypeError, ValueError
        An argument is of another kind.
    InputError
        A report cannot be read, is of another day or cycle, or does not say whether its rates are
        in percent; two reports of one kind.

    Notes
    -----
    Amounts are compared in whole cents, rates to twelve decimals. A reported figure that we do not
    have is a break; a figure that is not reported is not compared. An account of ours that is not
    reported is a break if it has cross-margined positions. The cause is the first of
    `analysis.reconciled.causes.CAUSES` that fits: what is likely, not what is proved.
    """
    for name, value in {"tolerance_usd": tolerance_usd, "tolerance_rate": tolerance_rate}.items():
        if not isinstance(value, int | float) or not 0.0 <= value < MOST_TOLERANCE:
            raise ValueError(
                f"{name}: a number from 0 on, below {MOST_TOLERANCE:g}, expected, got {value!r:.60}"
            )
    ours = ours_of(run)
    reports = read_reports(observed, ours.manifest)
    return reconciled(ours, reports, float(tolerance_usd), float(tolerance_rate))


@dataclass(frozen=True)
class Ours:
    """What a reconciliation needs from a run."""

    accounts: pa.Table
    positions: pa.Table
    manifest: Mapping[str, Any]
    rules: AgreementRules | None
    run: RunResult | None


def ours_of(run: RunResult | str | Path) -> Ours:
    """Return what a reconciliation needs from a run, or from the results in a directory."""
    if isinstance(run, RunResult):
        tables = {name: getattr(run, name).to_arrow() for name in ("accounts", "positions")}
        rules = None if run.stages is None else run.stages.models.policy.agreement
        manifest: Mapping[str, Any] = run.manifest
    elif isinstance(run, str | Path):
        read, manifest = read_tables(run)
        tables, rules = {name: table.to_arrow() for name, table in read.items()}, None
    else:
        raise TypeError(f"run: a run, or the directory of its results, expected, got {run!r:.60}")
    return Ours(
        tables["accounts"],
        tables["positions"],
        manifest,
        rules or _rules(manifest),
        run if isinstance(run, RunResult) else None,
    )


def _rules(manifest: Mapping[str, Any]) -> AgreementRules | None:
    """Return cap and minimum of a run's policy, if it is still what it was."""
    said = manifest.get("policy")
    if isinstance(said, Mapping):
        with suppress(InputError):
            policy = read_policy(said.get("path") or said.get("name"))
            if policy.hash == said.get("hash"):
                return policy.agreement
    return None


def read_reports(
    observed: Source | Sequence[Source], manifest: Mapping[str, Any]
) -> tuple[Observed, ...]:
    """Return the reports that are given for a run; see `reconcile`."""
    given = list(observed) if isinstance(observed, list | tuple) else [observed]
    if not given:
        raise ValueError("observed: at least one report must be given")
    as_of = np.datetime64(manifest["as_of"], "D")
    reports = []
    for number, source in enumerate(given, start=1):
        name = "observed" if len(given) == 1 else f"observed {number}"
        reports.append(read_observed(source, as_of=as_of, cycle=manifest["cycle"], name=name))
    kinds = ["accounts" if one.report in BY_ACCOUNT else one.report.name for one in reports]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise InputError(f"observed: two reports of {kind} are given; give one")
    return tuple(reports)


def reconciled(
    ours: Ours, reports: Sequence[Observed], tolerance_usd: float, tolerance_rate: float
) -> Reconciliation:
    """Return a run beside reports that have been read; see `reconcile`."""
    lines = compare_lines(ours.positions, ours.run, reports)
    names = _names(ours, reports, lines)
    facts = _facts(ours, reports, lines, names, (tolerance_usd, tolerance_rate))
    broken = facts.breaks(*facts.broken)
    is_break = broken | facts.lines_differ | facts.only_ours | facts.only_observed | facts.set_aside
    cause = likeliest(facts, is_break)
    accounts = _account_rows(names, facts, lines, is_break, cause)
    log = ExceptionLog()
    for one in reports:
        log.extend(one.exceptions)
    there, known = facts.observed.get("offset_rate"), ~facts.only_observed
    if there is None:
        there = np.full(known.size, np.nan)
    use = columns.column(known & ~np.isnan(there))
    rates = pa.table({"account": names, "offset_rate": columns.column(there)}).filter(use)
    counted = {code: int((cause == code).sum()) for code in dict.fromkeys(cause[is_break].tolist())}
    manifest = {
        **{name: ours.manifest[name] for name in ("run_id", "as_of", "cycle", "synthetic")},
        "policy": ours.manifest.get("policy"),
        "tolerance_usd": tolerance_usd,
        "tolerance_rate": tolerance_rate,
        "inputs": {name: one.source for name, one in zip(_labels(reports), reports, strict=True)},
        "terms": _terms(facts),
        "accounts": len(names),
        "breaks": int(is_break.sum()),
        "causes": counted,
    }
    return Reconciliation(
        Table(accounts),
        Table(_component_rows(names, facts, cause)),
        Table(lines.table),
        Table(rates),
        Table(exception_table(log.table())),
        manifest,
    )


def _labels(reports: Sequence[Observed]) -> list[str]:
    single = len(reports) == 1
    return ["observed" if single else f"observed {n}" for n in range(1, len(reports) + 1)]


def _names(ours: Ours, reports: Sequence[Observed], lines: Lines) -> pa.StringArray:
    """Return the accounts compared: ours that take part or are reported, then the others."""
    own = columns.texts(ours.accounts["account"]).tolist()
    if any(one.report in BY_ACCOUNT for one in reports):
        segment = columns.texts(ours.positions["segment"]).astype(str)
        within = np.isin(segment, [SEGMENTS[FICC_XM], SEGMENTS[CME_XM]])
        part = set(columns.texts(ours.positions["account"])[within].tolist())
    else:  # A report of FICC's positions need not name who has none there.
        part = set(columns.texts(lines.table["account"]).tolist())
    reported: dict[str, None] = {}
    for one in reports:
        reported |= dict.fromkeys(columns.texts(columns.plain(one.table["account"])).tolist())
        reported |= dict.fromkeys(one.set_aside)
    here = {*own}
    kept = [name for name in own if name in part or name in reported]
    return columns.text_column([*kept, *(name for name in reported if name not in here)])


def _facts(
    ours: Ours,
    reports: Sequence[Observed],
    lines: Lines,
    names: pa.StringArray,
    tolerances: tuple[float, float],
) -> Facts:
    """Return what is known of each account."""
    main = next((one for one in reports if one.report in BY_ACCOUNT), None)
    own = columns.integers(pc.index_in(names, value_set=ours.accounts["account"]))
    here = _of_ours(ours, own)
    aside, lines_aside = (
        np.isin(columns.texts(names).astype(str), [*found])
        for found in (
            {name for one in reports for name in one.set_aside},
            {name for one in reports if one.report not in BY_ACCOUNT for name in one.set_aside},
        )
    )
    if main is None:
        seen = {
            name for one in reports for name in columns.texts(columns.plain(one.table["account"]))
        }
        reported = np.array([name in seen for name in names.to_pylist()], dtype=bool)
        there: dict[str, Float] = {}
        said = np.full(len(names), "", dtype=object)
    else:
        at = columns.integers(pc.index_in(names, value_set=columns.plain(main.table["account"])))
        reported = at >= 0
        there = _reported(main.table, at)
        words = [*columns.texts(columns.plain(main.table["reason"])), None]
        said = np.array([_code(words[row]) for row in at], dtype=object)
    set_aside = aside & ~reported
    in_both = (own >= 0) & reported
    broken = {
        name: in_both & _differs(name, here, there, tolerances)
        for name in (*COMPONENTS, *RATES)
        if name in there
    }
    differ = lines.differ(names)
    return Facts(
        ours=here,
        observed=there,
        broken=broken,
        only_ours=(own >= 0) & ~reported & ~set_aside,
        only_observed=(own < 0) & reported,
        set_aside=set_aside,
        reason=_reasons(ours.accounts, own),
        reason_observed=said,
        lines_differ=differ,
        lines_aside=lines_aside,
        cash_known=lines.cash_known & ~lines_aside,
        grid=_grid([there[name] for name in RATES if name in there], _cap(here, there)),
        tolerance_usd=tolerances[0],
        tolerance_rate=tolerances[1],
    )


def _cap(here: Mapping[str, Float], there: Mapping[str, Float]) -> float:
    """Return the cap as reported, else ours; NaN if unknown."""
    both = np.concatenate([there.get("cap", np.zeros(0)), here["cap"]])
    known = both[~np.isnan(both)]
    return float(known[0]) if known.size else math.nan


def _of_ours(ours: Ours, at: Integer) -> dict[str, Float]:
    """Return our components by account, NaN where unknown."""

    def taken(value: Float) -> Float:
        return np.append(value, np.nan)[at]

    table = ours.accounts
    rate = columns.numbers(table["offset_rate"])
    found = {
        name: taken(columns.numbers(table[name]))
        for name in (*COMPONENTS, *RATES)
        if name in table.column_names
    }
    for name, margin in (("saving_ficc", "v_ficc_cash"), ("saving_cme", "v_cme_futures")):
        found[name] = taken(rate * columns.numbers(table[margin]))
    found |= {name: _cents(found[name]) / 100.0 for name in COMPONENTS}
    for name, value in (
        ("cap", None if ours.rules is None else ours.rules.cap),
        ("minimum", None if ours.rules is None else ours.rules.minimum_saving),
    ):
        found[name] = np.full(at.size, np.nan if value is None else value)
    return found


def _reported(table: pa.Table, at: Integer) -> dict[str, Float]:
    """Return the components of a report that has them, by account, NaN where blank."""
    found = {}
    for name in (*COMPONENTS, *RATE_HEADERS):
        if name in table.column_names and table[name].null_count < len(table):
            found[name] = np.append(columns.numbers(table[name]), np.nan)[at]
    return found


def _cents(usd: Float) -> Float:
    """Return amounts in whole cents, half away from zero, NaN where unknown."""
    known = ~np.isnan(usd)
    whole = np.sign(usd) * cents(np.where(known, np.abs(usd), 0.0))
    return np.where(known, whole, np.nan)


def _differs(
    name: str,
    here: Mapping[str, Float],
    there: Mapping[str, Float],
    tolerances: tuple[float, float],
) -> Mask:
    """Return where a reported figure differs from ours, or ours is unknown."""
    observed = there[name]
    ours = here.get(name, np.full(observed.size, np.nan))
    if name in RATES:
        # A share of nothing: what is reported as zero, ours has none of.
        nothing = np.isnan(ours) & (observed == 0.0)
        within = np.abs(np.round(observed - ours, 12)) <= tolerances[1]
        return np.asarray(~np.isnan(observed) & ~within & ~nothing)
    most = int(Decimal(str(tolerances[0])) * 100)
    within = np.abs(_cents(observed) - _cents(ours)) <= most
    return np.asarray(~np.isnan(observed) & ~within)


def _code(text: str | None) -> str:
    """Return a reported reason as we write ours."""
    return "" if text is None else text.strip().upper().replace(" ", "_").replace("-", "_")


def _reasons(accounts: pa.Table, at: Integer) -> Text:
    words = [text or "" for text in columns.texts(accounts["reason"])]
    return np.array([*words, ""], dtype=object)[at]


def _grid(rates: Sequence[Float], cap: float) -> float:
    """Return the coarsest step on which all reported rates lie, NaN if on none.

    Zero and the cap lie on every step, and say nothing.
    """
    every = np.concatenate([np.zeros(0), *rates])
    every = every[(every != 0.0) & (every != cap) & ~np.isnan(every)]
    if not every.size:
        return math.nan
    for step in GRIDS:
        if np.all(np.abs(every / step - np.round(every / step)) < 1e-6):
            return step
    return math.nan


def _terms(facts: Facts) -> dict[str, Any]:
    """Return cap and minimum, ours and as reported, for the manifest."""
    found = {}
    for name in ("cap", "minimum"):
        ours, there = facts.both(name)
        reported = np.unique(there[~np.isnan(there)]).tolist()
        known = ours[~np.isnan(ours)]
        found[name] = {"ours": float(known[0]) if known.size else None, "observed": reported[:10]}
    return found


def _account_rows(
    names: pa.StringArray, facts: Facts, lines: Lines, is_break: Mask, cause: Text
) -> pa.Table:
    """Return the table of accounts."""
    size = len(names)
    count = np.zeros(size, dtype=np.int64)
    largest = np.zeros(size)
    any_usd = np.zeros(size, dtype=bool)
    for name, broken in facts.broken.items():
        count += broken
        if name not in RATES:
            ours, there = facts.both(name)
            difference = np.where(broken, _cents(there) - _cents(ours), 0.0)
            known = broken & ~np.isnan(difference)
            any_usd |= known
            more = known & (np.abs(difference) > np.abs(largest))
            largest = np.where(more, difference, largest)
    only = np.where(facts.only_ours, 0, np.where(facts.only_observed, 1, -1))
    ours, there = facts.both("offset_rate")
    differing = lines.count(names)
    return RECONCILED_ACCOUNTS.table(
        {
            "account": names,
            "only_in": columns.chosen(["ours", "observed"], only),
            "is_break": columns.column(is_break),
            "cause": columns.text_column(cause),
            "components": columns.column(count),
            "lines": pa.nulls(size, pa.int64()) if differing is None else columns.column(differing),
            "largest_difference": money(largest.astype(np.int64), any_usd),
            "offset_rate": columns.column(ours, ~np.isnan(ours)),
            "offset_rate_observed": columns.column(there, ~np.isnan(there)),
            "reason": columns.text_column([text or None for text in facts.reason]),
            "reason_observed": columns.text_column(
                [text or None for text in facts.reason_observed]
            ),
        }
    )


def _component_rows(names: pa.StringArray, facts: Facts, cause: Text) -> pa.Table:
    """Return the table of components, by account."""
    kinds = tuple(facts.broken)
    size, width = len(names), len(kinds)

    def by_account(cells: list[Any], dtype: type) -> Any:
        """Return the cells of all components, those of one account together."""
        return np.array(cells, dtype=dtype).reshape(width, size).T.ravel()

    ours = by_account([facts.both(name)[0] for name in kinds], float)
    there = by_account([facts.both(name)[1] for name in kinds], float)
    broken = by_account([facts.broken[name] for name in kinds], bool)
    number = np.repeat(np.arange(size), width)
    rate = np.tile(np.array([name in RATES for name in kinds], dtype=bool), size)
    usd = np.where(rate, 0.0, _cents(there) - _cents(ours)) / 100.0
    difference = np.where(rate, np.round(there - ours, 12), usd)
    compared = ~np.isnan(there) & ~(facts.only_ours | facts.only_observed | facts.set_aside)[number]
    why = cause[number]
    why[~broken] = None
    return RECONCILED_COMPONENTS.table(
        {
            "account": names.take(columns.column(number)),
            "component": columns.chosen(kinds, np.tile(np.arange(width), size)),
            "unit": columns.chosen(["USD", "share"], rate.astype(np.int64)),
            "ours": columns.column(ours, ~np.isnan(ours)),
            "observed": columns.column(there, ~np.isnan(there)),
            "difference": columns.column(difference, ~np.isnan(difference)),
            "tolerance": columns.column(np.where(rate, facts.tolerance_rate, facts.tolerance_usd)),
            "is_break": columns.column(broken, compared),
            "cause": columns.text_column(why),
        }
    )
