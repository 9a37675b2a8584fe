"""Reported positions beside ours: cash by CUSIP, and its futures-equivalents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Integer, Mask
from crossmargin.book.programme import CUSIP_POSITIONS, EQUIVALENTS
from crossmargin.calculation.result import RunResult, stages_of
from crossmargin.conventions import CME, FICC_XM, SEGMENTS
from crossmargin.instruments.identifiers import canonical_cusip
from crossmargin.instruments.universe import TREASURY
from crossmargin.io.observed import Observed
from crossmargin.margin.cme.equivalents import Equivalents
from crossmargin.results.schemas.reconcile import RECONCILED_POSITIONS

CONTRACTS = 0.01
"""Futures-equivalents that differ by less are the same: reports round them."""

Key = tuple[str, str]
"""Account and instrument."""


@dataclass(frozen=True)
class Lines:
    """Reported positions beside ours.

    Attributes
    ----------
    table : pyarrow.Table
        A row per report, account and instrument.
    differing : Counter of str
        By account, how many differ.
    given, cash_known : bool
        Whether positions were reported, and whether those of cash were.
    """

    table: pa.Table
    differing: Counter[str]
    given: bool
    cash_known: bool

    def differ(self, names: pa.StringArray) -> Mask:
        """Return which accounts have a position that differs, [A]."""
        return np.array([name in self.differing for name in names.to_pylist()], dtype=bool)

    def count(self, names: pa.StringArray) -> Integer | None:
        """Return how many positions of each account differ, [A]; None if none are reported."""
        if not self.given:
            return None
        return np.array([self.differing[name] for name in names.to_pylist()], dtype=np.int64)


def compare_lines(positions: pa.Table, run: RunResult | None, reports: Sequence[Observed]) -> Lines:
    """Return the positions of reports beside those of a run.

    Parameters
    ----------
    positions : pyarrow.Table
        Of the run.
    run : RunResult, optional
        With stages, where futures-equivalents are to be compared.
    reports : sequence of Observed
        Those without positions do not matter.

    Returns
    -------
    Lines
    """
    parts = []
    differing: Counter[str] = Counter()
    for one in reports:
        if one.report is CUSIP_POSITIONS:
            ours: dict[Key, float] | None = _cash(positions)
            there = _summed(one.table, "cusip")
            slack = 0.0
        elif one.report is EQUIVALENTS:
            ours, there, slack = _equivalents(run), _summed(one.table, "contract"), CONTRACTS
        else:
            continue
        parts.append(_rows(one.report.name, ours, there, slack, differing))
    empty = pa.Table.from_batches([], RECONCILED_POSITIONS.arrow)
    return Lines(
        pa.concat_tables(parts) if parts else empty,
        differing,
        bool(parts),
        any(one.report is CUSIP_POSITIONS for one in reports),
    )


def _rows(
    report: str,
    ours: dict[Key, float] | None,
    there: dict[Key, float],
    slack: float,
    differing: Counter[str],
) -> pa.Table:
    """Return the rows of one report, and count those that differ."""
    keys = sorted({*(ours or ()), *there})
    own = np.array([(ours or {}).get(key, 0.0) for key in keys])
    seen = np.array([there.get(key, 0.0) for key in keys])
    known = np.full(len(keys), ours is not None)
    broken = known & (np.abs(np.round(seen - own, 9)) > slack)
    differing.update(key[0] for key, breaks in zip(keys, broken, strict=True) if breaks)
    name = columns.repeated(columns.scalar(report), len(keys))
    return RECONCILED_POSITIONS.table(
        {
            "account": columns.text_column([account for account, _ in keys]),
            "report": name,
            "instrument": columns.text_column([instrument for _, instrument in keys]),
            "ours": columns.column(own, known),
            "observed": columns.column(seen),
            "difference": columns.column(seen - own, known),
            "is_break": columns.column(broken, known),
        }
    )


def _cash(positions: pa.Table) -> dict[Key, float]:
    """Return the cross-margined face of each account and CUSIP."""
    segment, kind = (columns.texts(positions[name]) for name in ("segment", "kind"))
    use = columns.column((segment == SEGMENTS[FICC_XM]) & (kind == TREASURY))
    within = positions.filter(use)
    total: dict[Key, float] = defaultdict(float)
    cells = (columns.texts(within[name]) for name in ("account", "instrument"))
    for account, cusip, face in zip(*cells, columns.integers(within["quantity"]), strict=True):
        total[account, cusip] += int(face)
    return {key: face for key, face in total.items() if face}


def _summed(table: pa.Table, instrument: str) -> dict[Key, float]:
    """Return the reported quantity of each account and instrument."""
    names = columns.texts(columns.plain(table[instrument])).tolist()
    if instrument == "cusip":
        spelt = {text: canonical_cusip(text) for text in set(names)}
        names = [spelt[text] for text in names]
    total: dict[Key, float] = defaultdict(float)
    accounts = columns.texts(columns.plain(table["account"]))
    quantities = columns.numbers(table["position"]).tolist()
    for account, name, quantity in zip(accounts, names, quantities, strict=True):
        total[account, name] += quantity
    return dict(total)


def _equivalents(run: RunResult | None) -> dict[Key, float] | None:
    """Return the futures-equivalents of each account's cross-margined cash; None if unknown."""
    if run is None or run.stages is None:
        return None
    stages = stages_of(run, given_rates=True)
    stands = getattr(stages.models.ccps[CME], "equivalents", None)
    if not isinstance(stands, Equivalents):
        return None
    book, universe = stages.netted.book, stages.models.universe
    names = columns.texts(stages.parsed.accounts["account"])
    symbol = universe.name.tolist()
    total: dict[Key, float] = defaultdict(float)
    for account, name in enumerate(names):
        row = account * len(SEGMENTS) + FICC_XM
        for at in range(int(book.row_ptr[row]), int(book.row_ptr[row + 1])):
            line = int(book.column[at])
            if line < stands.contract.size and stands.ratio[line]:
                key = (str(name), symbol[int(stands.contract[line])])
                total[key] += float(book.quantity[at]) * float(stands.ratio[line])
    return dict(total)
