"""Stages of a run kept beside its results, and read again: no pickle.

What depends on the market's scenarios alone, the prepared models, is made anew: the same market and
policy give the same bits.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pyarrow as pa

from crossmargin.agreement.clients import Clients
from crossmargin.agreement.eligibility import Assignment
from crossmargin.agreement.requirement import Amount, Requirements
from crossmargin.agreement.savings import Saving
from crossmargin.book.netting import Legs, Lines
from crossmargin.book.observed_margins import ObservedMargin
from crossmargin.book.trades import Trades
from crossmargin.calculation.classified import ClassifiedTrades
from crossmargin.calculation.inputs import ParsedInputs
from crossmargin.calculation.kept import Kept
from crossmargin.calculation.manifest import describe_ccps
from crossmargin.calculation.margins import AccountMargins, Agreement
from crossmargin.calculation.netted import NettedBook
from crossmargin.calculation.prepared import prepare_for_book
from crossmargin.calculation.result import STAGES, TABLES, RunResult, Stages, stages_of
from crossmargin.conventions import CME, FICC, SEGMENTS
from crossmargin.engine import Book, Execution
from crossmargin.exceptions import FileRows, InputError
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.terms import Terms
from crossmargin.instruments.universe import Universe
from crossmargin.io.results import read_file_beside, read_results
from crossmargin.io.values import fits, from_bytes, to_bytes
from crossmargin.margin.charges import Charged
from crossmargin.margin.cme.span_file import FileSpread, SecurityEquivalent, SpanFile
from crossmargin.margin.model import OwnCube
from crossmargin.margin.portfolios import CcpMargin, Items
from crossmargin.market import Market
from crossmargin.market.basis import Basis
from crossmargin.market.curve import Curve
from crossmargin.market.history import History
from crossmargin.market.market import Note
from crossmargin.market.short_rates import ShortRateRule, ShortRates
from crossmargin.market.sofr import Sofr
from crossmargin.market.specific import Process, SpecificRisk, SpreadGroups, SpreadHistory
from crossmargin.policies import CcpTable, Parameter, Policy
from crossmargin.policies.sections import SECTIONS
from crossmargin.policies.sections.charges import GrossValueCharge
from crossmargin.results.table import Table

TYPES: tuple[type, ...] = (
    *(ParsedInputs, Securities, Trades, FileRows, Contract, OwnCube),
    *(SpanFile, FileSpread, SecurityEquivalent, ObservedMargin),
    *(Market, Curve, History, Basis, Sofr, ShortRates, ShortRateRule, Note),
    *(SpreadHistory, SpecificRisk, SpreadGroups, Process),
    *(Policy, Parameter, CcpTable, GrossValueCharge, *SECTIONS.values()),
    *(ClassifiedTrades, Assignment),
    *(NettedBook, Universe, Terms, Legs, Lines, Book),
    *(AccountMargins, CcpMargin, Items, Charged),
    *(Agreement, Saving, Requirements, Amount, Clients),
)
"""All that stages are made of; a file can hold nothing else."""


def stage_bytes(stage: object) -> bytes:
    """Return a stage as the bytes of a file.

    Parameters
    ----------
    stage : object
        `ParsedInputs`, `ClassifiedTrades`, `NettedBook`, `AccountMargins`, `Agreement`,
        `Requirements`, or a tuple of such.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        It holds something else, as `PreparedModels` do.
    """
    return to_bytes(stage, TYPES)


def stage_from_bytes(data: bytes, *, label: str = "stage") -> Any:
    """Return the stage that `stage_bytes` wrote.

    Parameters
    ----------
    data : bytes
    label : str
        What errors call the file.

    Returns
    -------
    object

    Raises
    ------
    InputError
        The bytes are no stage.
    """
    return from_bytes(data, TYPES, label=label)


def write_run(result: RunResult, out: str | Path) -> Path:
    """Write the results of a run with its stages, whole or not at all.

    Parameters
    ----------
    result : RunResult
        From `crossmargin.run` in this process, or from `read_run`.
    out : str or Path
        The directory, as for `RunResult.write`.

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    TypeError
        It is no run.
    ValueError
        The result has no stages.
    InputError
        The directory holds something else, or cannot be written.
    """
    if not isinstance(result, RunResult):
        raise TypeError(f"result: a run, from xm.run(...), expected, got {result!r:.60}")
    stages = stages_of(result, given_rates=True)
    written = (getattr(stages, name) for name in _WRITTEN)
    market = stages.models.market
    moved = None if market is stages.parsed.market else market
    kept = (result.manifest["run_id"], *written, stages.models.policy, moved)
    return result.write(out, files={STAGES: lambda: stage_bytes(kept)})


def read_run(
    directory: str | Path, *, threads: int | None = None, backend: str = "auto"
) -> RunResult:
    """Read the results of a run, with its stages if they were kept.

    Parameters
    ----------
    directory : str or Path
        Where `write_run`, or `RunResult.write`, put them.
    threads, backend
        For making the models anew, as in `crossmargin.run`.

    Returns
    -------
    RunResult
        What the run returned; without stages if they were not kept.

    Raises
    ------
    InputError
        The directory holds no results, those of another version, or a file that was changed.
    """
    execution = Execution(threads, backend)
    tables, manifest = read_tables(directory)
    data = read_file_beside(directory, STAGES)
    stages = None
    if data is not None:
        size = len(tables["accounts"])
        stages = _stages(data, f"{directory}/{STAGES}", manifest["run_id"], size, execution)
        if as_written(describe_ccps(stages.models)) != manifest.get("ccps"):
            raise InputError(
                f"{directory}: this version's models are not those of the run; run the book again"
            )
    return RunResult(**tables, manifest=manifest, stages=stages)


def read_tables(directory: str | Path) -> tuple[dict[str, Table], dict[str, Any]]:
    """Return the tables of a run by name, and its manifest.

    Raises
    ------
    InputError
        As in `read_run`.
    """
    tables, manifest = read_results(directory, *TABLES)
    missing = [name for name in _NAMED if not isinstance(manifest.get(name), _NAMED[name])]
    if missing:
        raise InputError(
            f"{directory}: manifest.json lacks {', '.join(missing)}; run the book again"
        )
    return {name: Table(table) for name, table in tables.items()}, manifest


def as_written(values: Any) -> Any:
    """Return plain values as a manifest has them once it is read."""
    return json.loads(json.dumps(values))


_NAMED = {"run_id": str, "as_of": str, "cycle": str, "synthetic": bool}
"""What a result says of itself, from its manifest."""
_WRITTEN = tuple(field.name for field in fields(Stages) if field.name not in ("models", "kept"))


def _stages(data: bytes, label: str, run_id: str, accounts: int, execution: Execution) -> Stages:
    """Return the stages in a file, their models prepared anew."""
    content = stage_from_bytes(data, label=label)
    hints = get_type_hints(Stages)
    expected = (str, *(hints[name] for name in _WRITTEN), Policy, Market | None)
    whole = (
        isinstance(content, tuple)
        and len(content) == len(expected)
        and all(map(fits, content, expected))
    )
    if not whole:
        raise InputError(f"{label}: is not as a run wrote it; run the book again")
    own_id, *values, policy, moved = content
    if own_id != run_id:
        raise InputError(f"{label}: is of another run than the tables; run the book again")
    written = dict(zip(_WRITTEN, values, strict=True))
    parsed, netted = written["parsed"], written["netted"]
    market = parsed.market if moved is None else moved
    kept = Kept()
    try:
        models, _ = prepare_for_book(parsed, netted, policy, market, kept, execution)
        stages = Stages(models=models, kept=kept, **written)
        if not _agree(stages, accounts):
            raise ValueError("stages of different sizes")
    except _INCONSISTENT as error:
        raise InputError(
            f"{label}: its stages do not fit together ({type(error).__name__}: {error!s:.100}); "
            "run the book again"
        ) from None
    return stages


_INCONSISTENT = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError),
    *(OverflowError, MemoryError, ZeroDivisionError, pa.ArrowException),
)
"""What a calculation raises of values that no run has left together."""


def _agree(stages: Stages, accounts: int) -> bool:
    """Tell whether stages are of so many accounts, and of the same groups and instruments."""
    clients, netted, groups = stages.clients, stages.netted, stages.clients.group_account
    instruments = stages.models.universe.name.size
    of_accounts = (
        *(clients.eligible, clients.complete, clients.multiplier, clients.floor, clients.minimum),
        stages.rows_rejected,
    )
    further = {ccp: book.rows for ccp, book in netted.elsewhere.items()}
    return (
        len(stages.parsed.accounts) == accounts
        and all(array.shape == (accounts,) for array in of_accounts)
        and groups.ndim == 1
        and np.array_equal(groups[:accounts], np.arange(accounts))
        and bool(np.all((groups >= 0) & (groups < accounts)))
        and netted.book.rows == groups.size * len(SEGMENTS)
        and all(book.columns == instruments for book in (netted.book, *netted.elsewhere.values()))
        and further == dict.fromkeys(set(stages.models.ccps) - {FICC, CME}, groups.size)
    )
