"""Write the stages of a run next to its results, and read them again, without pickle.

The prepared models are not written but prepared again: the same market and policy give the same
models, to the bit.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from crossmargin.agreement.clients import Clients
from crossmargin.agreement.eligibility import Assignment
from crossmargin.agreement.requirement import Amount, Requirements
from crossmargin.agreement.savings import Saving
from crossmargin.book.netting import Legs, Lines
from crossmargin.book.trades import Trades
from crossmargin.calculation.classified import ClassifiedTrades
from crossmargin.calculation.inputs import ParsedInputs
from crossmargin.calculation.kept import Kept
from crossmargin.calculation.manifest import describe_ccps
from crossmargin.calculation.margins import AccountMargins, Agreement
from crossmargin.calculation.netted import NettedBook
from crossmargin.calculation.prepared import prepare_for_book
from crossmargin.calculation.result import STAGES, TABLES, RunResult, Stages
from crossmargin.engine import Book, Execution
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.terms import Terms
from crossmargin.instruments.universe import Universe
from crossmargin.io.results import read_file_beside, read_results
from crossmargin.io.values import from_bytes, to_bytes
from crossmargin.margin.charges import Charged
from crossmargin.margin.cme.span_file import FileSpread, SpanFile
from crossmargin.margin.model import OwnCube
from crossmargin.margin.portfolios import CcpMargin, Items
from crossmargin.market import Market
from crossmargin.market.basis import Basis
from crossmargin.market.curve import Curve
from crossmargin.market.history import History
from crossmargin.market.market import Note
from crossmargin.market.sofr import Sofr
from crossmargin.policies import CcpTable, Parameter, Policy
from crossmargin.policies.sections import SECTIONS
from crossmargin.policies.sections.charges import GrossValueCharge
from crossmargin.results.table import Table

TYPES: tuple[type, ...] = (
    *(ParsedInputs, Securities, Trades, Contract, OwnCube, SpanFile, FileSpread),
    *(Market, Curve, History, Basis, Sofr, Note),
    *(Policy, Parameter, CcpTable, GrossValueCharge, *SECTIONS.values()),
    *(ClassifiedTrades, Assignment),
    *(NettedBook, Universe, Terms, Legs, Lines, Book),
    *(AccountMargins, CcpMargin, Items, Charged),
    *(Agreement, Saving, Requirements, Amount, Clients),
)
"""All types that stages are made of; a file can hold nothing else."""


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
        It holds an object of another type, as `PreparedModels` does.
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
        The bytes are not those of a stage.
    """
    return from_bytes(data, TYPES, label=label)


def write_run(result: RunResult, out: str | Path) -> Path:
    """Write the results of a run with its stages, all or nothing.

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
    ValueError
        The result has no stages.
    InputError
        The directory holds something else, or cannot be written.
    """
    stages = result.stages
    if stages is None:
        raise ValueError(
            "this run has no stages; give one made in this process, or read with its stages"
        )
    written = (getattr(stages, name) for name in _WRITTEN)
    market = stages.models.market
    moved = None if market is stages.parsed.market else market
    data = stage_bytes((*written, stages.models.policy, moved))
    return result.write(out, files={STAGES: data})


def read_run(
    directory: str | Path, *, threads: int | None = None, backend: str = "auto"
) -> RunResult:
    """Return the results of a run from a directory, with its stages if they were kept.

    Parameters
    ----------
    directory : str or Path
        Where `write_run`, or `RunResult.write`, put them.
    threads, backend
        For preparing the models again, as in `crossmargin.run`.

    Returns
    -------
    RunResult
        As the run returned it, but without stages if they were not kept.

    Raises
    ------
    InputError
        The directory holds no results, those of another version, or a file that was changed; or
        its models come out otherwise here.
    """
    tables, manifest = read_results(directory, *TABLES)
    data = read_file_beside(directory, STAGES)
    stages = None
    if data is not None:
        stages = _stages(data, f"{directory}/{STAGES}", threads, backend)
        described = json.loads(json.dumps(describe_ccps(stages.models)))
        if described != manifest.get("ccps"):
            raise InputError(
                f"{directory}: this version's models are not those of the run; run the book again"
            )
    return RunResult(
        **{name: Table(table) for name, table in tables.items()}, manifest=manifest, stages=stages
    )


_WRITTEN = tuple(field.name for field in fields(Stages) if field.name not in ("models", "kept"))


def _stages(data: bytes, label: str, threads: int | None, backend: str) -> Stages:
    """Return the stages in a file, with their models prepared again."""
    content = stage_from_bytes(data, label=label)
    if not isinstance(content, tuple) or len(content) != len(_WRITTEN) + 2:
        raise InputError(f"{label}: is not as a run wrote it; run the book again")
    *values, policy, moved = content
    written: dict[str, Any] = dict(zip(_WRITTEN, values, strict=True))
    parsed, classified, netted = (written[name] for name in ("parsed", "classified", "netted"))
    right = (
        isinstance(policy, Policy)
        and isinstance(parsed, ParsedInputs)
        and isinstance(classified, ClassifiedTrades)
        and isinstance(netted, NettedBook)
        and isinstance(moved, Market | None)
    )
    if not right:
        raise InputError(f"{label}: is not as a run wrote it; run the book again")
    market = parsed.market if moved is None else moved
    kept, execution = Kept(), Execution(threads, backend)
    models, _ = prepare_for_book(parsed, classified, netted, policy, market, kept, execution)
    return Stages(models=models, kept=kept, **written)
