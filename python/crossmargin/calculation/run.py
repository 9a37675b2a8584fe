"""The main job: from a book and a market to every account's requirement and its parts.

The stages, each of which can be called alone: `read_inputs`, `classify_trades`, `net_trades`,
`prepare_for_book`, `margin_accounts`, `agree_offsets`, `require_accounts`, `result_tables`.
"""

from __future__ import annotations

import datetime
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc

from crossmargin import columns as arrow
from crossmargin.agreement.requirement import unknown_amount
from crossmargin.book.schemas import POSITIONS, SETTLEMENTS
from crossmargin.calculation.baskets import basket_notes
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.classified import ClassifiedTrades, classify_trades
from crossmargin.calculation.clients import clients_of, rows_rejected
from crossmargin.calculation.input_tables import Inputs
from crossmargin.calculation.inputs import ParsedInputs, read_inputs
from crossmargin.calculation.kept import Kept
from crossmargin.calculation.manifest import describe_run
from crossmargin.calculation.margins import (
    agree_offsets,
    margin_accounts,
    naming_accounts,
    require_accounts,
)
from crossmargin.calculation.netted import NettedBook, net_trades
from crossmargin.calculation.policy_market import check_groups, policy_market
from crossmargin.calculation.prepared import prepare_for_book
from crossmargin.calculation.result import RunResult, Stages, result_tables, stages_of
from crossmargin.calculation.unused import UNUSED, unused_saving
from crossmargin.engine import Execution
from crossmargin.engine.execution import Progress
from crossmargin.exceptions import ExceptionLog, InputError, InputWarning, counts
from crossmargin.instruments.basket_checks import check_baskets
from crossmargin.io.column_map import ColumnsSource
from crossmargin.io.tables import Source
from crossmargin.margin.ccps import clearing_houses
from crossmargin.market import Market
from crossmargin.policies import Policy, read_policy
from crossmargin.results.table import Table

MANY_REJECTED = 0.05
"""Share of rejected rows of positions above which a run warns."""


def run(
    *,
    positions: Source | Sequence[Source],
    accounts: Source,
    securities: Source,
    market: Market,
    firms: Source | None = None,
    policy: str | Path | Policy | None = None,
    ficc_cube: Source | None = None,
    cme_cube: Source | None = None,
    span_file: str | Path | None = None,
    settlements: Source | None = None,
    volumes: Source | None = None,
    observed_margins: Source | None = None,
    columns: ColumnsSource | None = None,
    cycle: str = "EOD",
    threads: int | None = None,
    max_rejected: int | None = None,
    allow_empty: bool = False,
    unused: bool = True,
    backend: str = "auto",
    progress: Progress | None = None,
) -> RunResult:
    """Return the margin of a whole client book under cross-margining.

    Parameters
    ----------
    positions, accounts, securities, firms : path or table
        CSV, Parquet or Excel files, or a table of pandas, polars or anything else that supports the
        Arrow PyCapsule protocol. The columns are those of `crossmargin.book.schemas`. A frame gives
        the same run as the file it was read from. An entirely blank column may have any type.
        Positions may be a list of several, each of any kind that `crossmargin.io.layouts` knows.
    market : Market
        `read_market(...)` or `sample_market()`; it carries the as-of date.
    policy : path or Policy, optional
        A TOML file, or the name of a shipped policy; the second version of our models of the
        customer programme, `cme-ficc-2026-11-30`, if not given.
    ficc_cube, cme_cube : path or table, optional
        P&L to use instead of ours: `instrument` and a column for each scenario, USD per 100 face or
        per contract, gain positive. Columns of the CME cube whose names are dates in a stress
        window are the stress scenarios. If there are none, V_C is HVaR alone.
    span_file : str or Path, optional
        A SPAN risk parameter file (.pa2), dated at most five business days before the as-of date.
        For a policy whose CME model is `span`: what the file holds replaces its parameters.
    settlements : path or table, optional
        Settlement prices of Treasury futures (date, contract, price) up to the as-of date. Compared
        with our model price of each day they give the basis, in place of a basis history.
    volumes : path or table, optional
        Average daily volumes, for a policy that charges concentration.
    observed_margins : path or table, optional
        CME's own maintenance margins by contract or root (instrument, date, maintenance). The
        manifest sets the model's margin of one contract beside each; a policy may scale the model.
    columns : path or dict, optional
        What our columns are called in your files, with their units: a TOML file, or its contents.
        For the market's files give it to `read_market`.
    cycle : {"EOD", "EODXM", "ITD", "CUR"}
        Recorded in every table; in ITD a leg dated on the as-of date is still open.
    threads : int, optional
        Default: as many as the process may use. The results do not depend on it.
    max_rejected : int, optional
        If more rows are rejected, the input is unusable.
    allow_empty : bool
        Whether positions, accounts, firms, volumes, observed margins or (if securities are held)
        securities may have no usable row. By default such an input is unusable.
    unused : bool
        Whether to look for the unused saving, which takes a tenth of the time. If not, its column
        is null.
    backend : {"auto", "native", "numba", "reference"}
        Which kernels to use. The results do not depend on it.
    progress : callable, optional
        Called with the name of each stage and the share done.

    Returns
    -------
    RunResult

    Raises
    ------
    TypeError
        An argument has the wrong type; the message says what to give.
    InputError
        An input cannot be used; the message names it and what to do.

    Warns
    -----
    InputWarning
        More than one in twenty rows of positions was rejected, or all occur more than once.
    """
    started = _now()
    check_market(market)
    check_arguments(policy, span_file, max_rejected)
    execution = Execution(threads, backend, progress)
    rules = policy if isinstance(policy, Policy) else read_policy(policy)
    execution.tell("reading", 0.0)
    parsed = read_inputs(
        Inputs(
            positions=positions,
            accounts=accounts,
            securities=securities,
            market=market,
            policy=rules,
            firms=firms,
            settlements=settlements,
            volumes=volumes,
            observed_margins=observed_margins,
            ficc_cube=ficc_cube,
            cme_cube=cme_cube,
            span_file=span_file,
            columns=columns,
            cycle=cycle,
            max_rejected=max_rejected,
            allow_empty=allow_empty,
        )
    )
    warn_of_rows(parsed)
    execution.tell("netting", 0.2)
    classified = classify_trades(parsed, rules)
    kept = Kept()
    netted = net_trades(parsed, classified, clearing_houses(rules), kept.baskets)
    return _from_book(
        *(parsed, classified, netted, rules, parsed.market, kept, execution),
        started=started,
        unused=unused,
    )


def rerun(
    result: RunResult,
    market: Market,
    *,
    threads: int | None = None,
    backend: str = "auto",
    progress: Progress | None = None,
) -> RunResult:
    """Return the margin of a run's book on another market of the same day, not netted again.

    Parameters
    ----------
    result : RunResult
        From `crossmargin.run` in this process.
    market : Market
        Such as `result.stages.models.market.with_curve(...)`. Start cash that was blank keeps the
        value that the first run gave it.
    threads, backend, progress
        As in `crossmargin.run`.

    Returns
    -------
    RunResult
        Its manifest has the tables of the first run, and the files of this market.

    Raises
    ------
    TypeError
        An argument is of another kind.
    ValueError
        The result has no stages, or the market is of another day, lacks the basis that settlement
        prices gave in the run, or has spreads of groups that the policy does not have.
    """
    if not isinstance(result, RunResult):
        raise TypeError(f"result: a run, from xm.run(...), expected, got {result!r:.60}")
    if not isinstance(market, Market):
        raise TypeError(f"market: a Market expected, got {market!r:.60}")
    stages = stages_of(result)
    if market.as_of != stages.parsed.market.as_of:
        raise ValueError(
            f"the market is of {market.as_of}, the run of {stages.parsed.market.as_of}"
        )
    lacking = sorted(stages.parsed.market.history.basis.keys() - market.history.basis.keys())
    if lacking and SETTLEMENTS.name in stages.parsed.source:
        raise ValueError(
            f"the market has no basis of {', '.join(lacking)}, which settlement prices gave in the "
            "run; make it from result.stages.models.market"
        )
    check_groups(policy_market(stages.models.policy, market))
    return _from_book(
        stages.parsed,
        stages.classified,
        stages.netted,
        stages.models.policy,
        market,
        stages.kept,
        Execution(threads, backend, progress),
        started=_now(),
        unused=result.manifest.get(UNUSED) is not False,
    )


def _from_book(
    parsed: ParsedInputs,
    classified: ClassifiedTrades,
    netted: NettedBook,
    policy: Policy,
    market: Market,
    kept: Kept,
    execution: Execution,
    *,
    started: str,
    unused: bool,
) -> RunResult:
    """Return the results of a netted book on a market."""
    execution.tell("scenarios", 0.35)
    models, noted = prepare_for_book(parsed, netted, policy, market, kept, execution)
    execution.tell("margin", 0.6)
    log = ExceptionLog()
    baskets = check_baskets(
        models.universe, parsed.securities, netted.contracts, market.as_of, kept.baskets
    )
    doubts = basket_notes(baskets, parsed, netted, models.universe, policy)
    for table in (parsed.exceptions, classified.exceptions, netted.exceptions, noted, doubts):
        log.extend(table)
    exceptions = log.table()
    rejected = rows_rejected(parsed, exceptions)
    clients = clients_of(parsed, classified, rejected)
    with naming_accounts(parsed.accounts, clients):
        margins = margin_accounts(netted.book, netted.elsewhere, models, execution)
        agreement = agree_offsets(netted.book, models, margins, clients, execution)
    execution.tell("agreement", 0.9)
    requirements = require_accounts(margins, agreement, clients)
    batch = Batch(netted.book, netted.elsewhere, clients)
    found = (
        unused_saving(batch, models, margins, agreement.saving, requirements, execution)
        if unused
        else unknown_amount(clients.eligible.size)
    )
    stages = Stages(
        parsed,
        classified,
        netted,
        models,
        clients,
        margins,
        agreement,
        requirements,
        found,
        rejected,
        kept,
    )
    run_id = uuid.uuid4().hex
    tables, described = result_tables(
        stages, exceptions, baskets, run_id=run_id, threads=execution.threads
    )
    manifest = {
        "run_id": run_id,
        "started": started,
        "finished": _now(),
        "as_of": str(market.as_of),
        "cycle": parsed.cycle,
        **describe_run(parsed, classified, models, rejected, execution),
        "exceptions": counts(exceptions),
        "results": described,
        **({} if unused else {UNUSED: False}),
    }
    execution.tell("agreement", 1.0)
    return RunResult(
        **{name: Table(table) for name, table in tables.items()}, manifest=manifest, stages=stages
    )


def check_market(market: object) -> None:
    """Refuse what is not a market."""
    if not isinstance(market, Market):
        raise TypeError(
            f"market: got {market!r:.60}; give xm.read_market('yields.csv', as_of='2025-03-13')"
        )


def check_arguments(policy: object, span_file: object, max_rejected: object) -> None:
    """Refuse unusable arguments before any file is read."""
    if not isinstance(policy, str | Path | Policy | None):
        raise TypeError(f"policy: a name, a path or a Policy expected, got {policy!r:.60}")
    if not isinstance(span_file, str | Path | None):
        raise TypeError(f"span_file: a path expected, got {type(span_file).__name__}")
    if not isinstance(max_rejected, int | None):
        raise TypeError(f"max_rejected: a whole number expected, got {max_rejected!r:.60}")
    if max_rejected is not None and max_rejected < 0:
        raise InputError(f"max_rejected: {max_rejected} is negative; give 0 or more")


def warn_of_rows(parsed: ParsedInputs, where: str = "see run.exceptions") -> None:
    """Warn of a book that is probably not the intended one, and say where its rows are listed."""
    read, used = parsed.source[POSITIONS.name]["rows_read"], parsed.trades.row.size
    if read - used > MANY_REJECTED * read:
        warnings.warn(
            f"{read - used:,} of {read:,} rows of positions are rejected: the amounts of their "
            f"accounts are too low; {where}",
            InputWarning,
            stacklevel=3,
        )
    if pc.any(pc.equal(parsed.exceptions["code"], arrow.scalar("FILE_REPEATED"))).as_py():
        warnings.warn(
            "every row of positions occurs more than once, as if the file had been given twice; "
            "each is counted",
            InputWarning,
            stacklevel=3,
        )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
