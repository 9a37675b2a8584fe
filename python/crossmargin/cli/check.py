"""`crossmargin check`: read the inputs of a run, and say what it would set aside."""

from __future__ import annotations

from crossmargin.calculation.baskets import basket_notes_before_a_run
from crossmargin.calculation.input_tables import Inputs
from crossmargin.calculation.inputs import market_notes, read_inputs
from crossmargin.cli.exits import exit_code
from crossmargin.cli.inputs import InputOptions
from crossmargin.cli.options import (
    AccountsFile,
    AsOf,
    BasisFile,
    CmeCubeFile,
    ColumnsFile,
    Cycle,
    FiccCubeFile,
    FirmsFile,
    FixingsFile,
    ObservedMarginsFile,
    ParYieldsFile,
    PolicyName,
    PositionsFile,
    SecuritiesFile,
    SettlementsFile,
    SofrFile,
    SpanFile,
    SpreadsFile,
    VolumesFile,
)
from crossmargin.cli.output import show
from crossmargin.exceptions import ExceptionLog, counts
from crossmargin.policies import read_policy
from crossmargin.report.terminal import print_check


def check(
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
) -> int:
    """Read the inputs of a run and say what it would set aside, without computing or writing.

    Exit codes are those of `run`: 0; 3, some rows would be rejected; 2, an input cannot be used.
    Only a run notices a history that is too short for the models.
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
    inputs.check_given("must be given")
    rules = read_policy(policy)
    given = Inputs(**inputs.of_the_book(), market=inputs.market(), policy=rules)
    read = read_inputs(given)
    log = ExceptionLog()
    log.extend(read.exceptions)
    log.extend(market_notes(read.market, read.trades.contracts))
    log.extend(basket_notes_before_a_run(read, rules))
    exceptions = log.table()
    source = {**read.source, **read.market.source}
    show(lambda console: print_check(source, exceptions, console))
    return exit_code(counts(exceptions))
