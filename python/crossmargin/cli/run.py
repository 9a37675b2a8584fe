"""`crossmargin run`: margin a book and write the results."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from rich.console import Console

from crossmargin.calculation.run import run as margin_book
from crossmargin.calculation.store import write_run
from crossmargin.cli.exits import exit_if_rejected, telling
from crossmargin.cli.inputs import InputOptions
from crossmargin.cli.options import (
    AccountsFile,
    AllowEmpty,
    AsOf,
    BasisFile,
    CmeCubeFile,
    ColumnsFile,
    Cycle,
    FiccCubeFile,
    FirmsFile,
    FixingsFile,
    MaxRejected,
    ObservedMarginsFile,
    Out,
    ParYieldsFile,
    PolicyName,
    PositionsFile,
    SecuritiesFile,
    SettlementsFile,
    SofrFile,
    SpanFile,
    SpreadsFile,
    Threads,
    UseSample,
    VolumesFile,
)
from crossmargin.cli.output import show
from crossmargin.exceptions import InputWarning
from crossmargin.io.results import check_target
from crossmargin.market import Market
from crossmargin.report.progress import DelayedProgress
from crossmargin.report.terminal import print_summary


def run(
    out: Out,
    sample: UseSample = False,
    positions: PositionsFile = None,
    accounts: AccountsFile = None,
    securities: SecuritiesFile = None,
    par_yields: ParYieldsFile = None,
    as_of: AsOf = None,
    firms: FirmsFile = None,
    basis: BasisFile = None,
    settlements: SettlementsFile = None,
    fixings: FixingsFile = None,
    sofr: SofrFile = None,
    spreads: SpreadsFile = None,
    policy: PolicyName = None,
    ficc_cube: FiccCubeFile = None,
    cme_cube: CmeCubeFile = None,
    span_file: SpanFile = None,
    volumes: VolumesFile = None,
    observed_margins: ObservedMarginsFile = None,
    columns: ColumnsFile = None,
    cycle: Cycle = "EOD",
    threads: Threads = None,
    max_rejected: MaxRejected = None,
    allow_empty: AllowEmpty = False,
) -> None:
    """Margin a book at both clearing houses and write the results to a directory.

    Inputs are CSV, Parquet or Excel, recognised by content. A row that cannot be read is
    rejected and listed in exceptions.parquet; the run uses the rest.
    """
    inputs = InputOptions(
        positions=positions,
        accounts=accounts,
        securities=securities,
        par_yields=par_yields,
        as_of=as_of,
        firms=firms,
        basis=basis,
        settlements=settlements,
        fixings=fixings,
        sofr=sofr,
        spreads=spreads,
        policy=policy,
        ficc_cube=ficc_cube,
        cme_cube=cme_cube,
        span_file=span_file,
        volumes=volumes,
        observed_margins=observed_margins,
        columns=columns,
        cycle=cycle,
    )
    check_target(out)
    if sample:
        inputs.check_leaves_room_for_sample()
    else:
        inputs.check_given("must be given, or --sample instead")
    _run(
        inputs,
        out.expanduser(),
        sample=sample,
        threads=threads,
        max_rejected=max_rejected,
        allow_empty=allow_empty,
    )


def _run(inputs: InputOptions, out: Path, *, sample: bool, **options: Any) -> None:
    """Margin, write and summarise a book; `options` go to the run as they are."""
    with (
        telling(out) as done,
        DelayedProgress(Console(stderr=True)) as progress,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", InputWarning)  # the summary's head says it
        book = inputs.of_the_book()
        if sample:
            market, tables = _sample()
            book |= tables
        else:
            market = inputs.market()
        result = margin_book(
            **book,
            market=market,
            policy=inputs.policy,
            progress=progress,
            **options,
        )
        progress("writing", 1.0)
        done.add(result.manifest["run_id"])
        write_run(result, out)
    with telling(out) as done:
        done.add(result.manifest["run_id"])
        show(lambda console: print_summary(result, out, console))
    exit_if_rejected(result.manifest["exceptions"])


def _sample() -> tuple[Market, dict[str, Any]]:
    """Return the embedded market and book."""
    # A run on the user's own book does not need it.
    from crossmargin.sample import sample_market, sample_tables

    tables = sample_tables()
    book = ("positions", "accounts", "securities")
    return sample_market(), {name: tables[name] for name in book}
