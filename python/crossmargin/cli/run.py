"""`crossmargin run`: margin a book and write the results."""

from __future__ import annotations

from crossmargin.cli.inputs import InputOptions
from crossmargin.cli.margining import margin_inputs
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
) -> int:
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
    return margin_inputs(
        inputs,
        out,
        sample=sample,
        threads=threads,
        max_rejected=max_rejected,
        allow_empty=allow_empty,
    )
