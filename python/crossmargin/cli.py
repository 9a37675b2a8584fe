"""The command `crossmargin`. Needs the extra `cli` (typer, rich)."""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import io
import os
import shlex
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

try:
    import typer
    from rich.console import Console

    from crossmargin.report.progress import DelayedProgress
    from crossmargin.report.terminal import print_comparison, print_summary
except ModuleNotFoundError as error:
    lacking = (error.name or "").partition(".")[0]
    if lacking not in ("typer", "rich"):
        raise
    sys.stderr.write(
        f"crossmargin: the command needs {lacking}; install it with "
        "`pip install 'crossmargin[cli]'`\n"
    )
    raise SystemExit(2) from None

from crossmargin.book.exceptions import CODES, InputError
from crossmargin.io.market import as_of_date
from crossmargin.io.results import check_target

UNUSABLE = 2
REJECTED = 3
INTERNAL = 70

app = typer.Typer(
    name="crossmargin",
    help="Margin of a client book under CME-FICC cross-margining: both houses' numbers.",
    epilog="Exit codes: 0 written; 3 written, some rows rejected; 2 unusable input, nothing "
    "written; 70 internal error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _input(text: str) -> Any:
    """Describe an option that names an input file."""
    return typer.Option(
        help=text,
        metavar="FILE",
        show_default=False,
        rich_help_panel="Input (CSV, Parquet or Excel)",
    )


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"crossmargin {importlib.metadata.version('crossmargin')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Carry the options of the command itself."""


@app.command()
def run(
    out: Annotated[
        Path,
        typer.Option(help="Directory for the results; earlier results there are replaced."),
    ],
    sample: Annotated[
        bool, typer.Option("--sample", help="Run the embedded synthetic market and book.")
    ] = False,
    positions: Annotated[
        Path | None,
        _input(
            "account, kind (cash, repo, reverse, future), instrument, quantity, xm; and where "
            "they apply settle_date, start_date, end_date, repo_rate, start_cash, failed, "
            "clearing_firm."
        ),
    ] = None,
    accounts: Annotated[
        Path | None,
        _input(
            "account, origin (house, customer), ficc_role, opted_in, clearing_firm; optional "
            "customer, multiplier, floor, minimum. Other columns are carried to the results."
        ),
    ] = None,
    securities: Annotated[
        Path | None,
        _input(
            "cusip, coupon_pct, issue_date, maturity_date; optional type, first_coupon_date, "
            "price, resold_as."
        ),
    ] = None,
    par_yields: Annotated[
        Path | None,
        _input("The official Treasury download as it comes, or date, 1mo, ..., 30y; percent."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="The day the book is margined for, YYYY-MM-DD.", show_default=False),
    ] = None,
    firms: Annotated[
        Path | None,
        _input("clearing_firm, broker_dealer, fcm, cme_member, ficc_member."),
    ] = None,
    basis: Annotated[
        Path | None,
        _input("date, root, contract, basis. Without it hedges look better than they are."),
    ] = None,
    fixings: Annotated[Path | None, _input("date, index (SOFR, EFFR), rate_pct.")] = None,
    sofr: Annotated[
        Path | None,
        _input(
            "date, 1mo, ..., 30y (some of them): swap rates against SOFR, percent. Without it "
            "short-rate futures move with the Treasury curve."
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="Policy file (TOML), or the name of a shipped one, instead of the default.",
            metavar="FILE|NAME",
            show_default=False,
        ),
    ] = None,
    ficc_cube: Annotated[
        Path | None,
        _input("P&L of your own for FICC: instrument and a column for each scenario, USD."),
    ] = None,
    cme_cube: Annotated[
        Path | None, _input("P&L of your own for CME; goes with --ficc-cube.")
    ] = None,
    span_file: Annotated[
        Path | None,
        _input("SPAN risk parameters (.pa2), for a policy whose cme.model is span."),
    ] = None,
    volumes: Annotated[
        Path | None,
        _input("contract (or root), adv. For a policy that charges concentration."),
    ] = None,
    cycle: Annotated[
        str, typer.Option(help="Margin cycle of the day: ITD, EOD, EODXM or CUR.")
    ] = "EOD",
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads; default: what this process may use."),
    ] = None,
    max_rejected: Annotated[
        int | None,
        typer.Option(min=0, help="Write nothing and exit 2 if more rows are rejected."),
    ] = None,
) -> None:
    """Margin a book at both clearing houses and write the results to a directory.

    Inputs are CSV, Parquet or Excel, told by content. A row that cannot be read is
    rejected and listed in exceptions.parquet; the rest is run.
    """
    # The models are loaded only when they are run: help and mistakes answer at once.
    from crossmargin.market import Market
    from crossmargin.run import run as margin_book

    check_target(out)
    own = {
        "--positions": positions,
        "--accounts": accounts,
        "--securities": securities,
        "--par-yields": par_yields,
        "--as-of": as_of,
    }
    lacking = [option for option, value in own.items() if value is None]
    if sample and (len(lacking) < len(own) or basis or fixings or sofr):
        raise InputError("--sample brings its own market and book; leave the other inputs out")
    if lacking and not sample:
        raise InputError(f"{', '.join(lacking)} must be given, or --sample instead")
    with DelayedProgress(Console(stderr=True)) as progress:
        book: dict[str, Any]
        if sample:
            from crossmargin.sample import sample_tables

            tables = sample_tables()
            book = {name: tables[name] for name in ("positions", "accounts", "securities")}
            market = Market.sample()
        else:
            book = {"positions": positions, "accounts": accounts, "securities": securities}
            market = Market.read(
                par_yields,
                as_of=as_of_date(as_of or ""),
                basis=basis,
                fixings=fixings,
                sofr=sofr,
            )
        result = margin_book(
            **book,
            market=market,
            firms=firms,
            policy=policy,
            ficc_cube=ficc_cube,
            cme_cube=cme_cube,
            span_file=span_file,
            volumes=volumes,
            cycle=cycle,
            threads=threads,
            max_rejected=max_rejected,
            progress=progress,
        )
        progress("writing", 1.0)
        result.write(out)
    try:
        # Where nobody reads any more, rich ends the process: the exit code tells of the run.
        with contextlib.suppress(SystemExit):
            print_summary(result, out, _output())
    except OSError as error:
        # Written is written: who cannot read the summary still has the files.
        sys.stderr.write(f"crossmargin: the summary cannot be printed: {error}\n")
    if any(CODES[code].severity == "rejected" for code in result.manifest["exceptions"]):
        raise typer.Exit(REJECTED)


@app.command()
def sample(
    out: Annotated[Path, typer.Option(help="Directory; files of the same names are replaced.")],
    accounts: Annotated[int, typer.Option(min=10, help="Accounts of the book.")] = 3000,
    seed: Annotated[int, typer.Option(min=0, help="One seed gives the same files.")] = 2026,
    as_of: Annotated[
        str | None, typer.Option(help="A business day, YYYY-MM-DD.", show_default=False)
    ] = None,
) -> None:
    """Write a synthetic market and book as CSV files, ready for `run`."""
    from crossmargin.sample import AS_OF, write_sample

    day = AS_OF if as_of is None else as_of_date(as_of)
    try:
        written = write_sample(out, accounts=accounts, seed=seed, as_of=day)
    except (ValueError, OSError) as error:
        raise InputError(f"sample: {error}") from error
    options = " ".join(
        f"--{path.stem.replace('_', '-')} {shlex.quote(str(path))}" for path in written
    )
    typer.echo(f"SYNTHETIC: {', '.join(path.name for path in written)} in {out}")
    typer.echo(f"crossmargin run {options} --as-of {day} --out RESULTS")


@app.command()
def compare(
    dir_a: Annotated[Path, typer.Argument(metavar="DIR_A", help="Results of a run.")],
    dir_b: Annotated[Path, typer.Argument(metavar="DIR_B", help="Results of another run.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Write all accounts to this file, .csv or .parquet.", show_default=False),
    ] = None,
) -> None:
    """Compare two runs account by account: two policies, two days."""
    from crossmargin.compare import differences, inputs_that_differ, margined
    from crossmargin.io.results import write_table

    a, b = margined(dir_a), margined(dir_b)
    table = differences(a, b)
    if out is not None:
        write_table(table, out)
    print_comparison(
        table,
        (str(dir_a), str(dir_b)),
        (a.manifest, b.manifest),
        inputs_that_differ(a, b),
        _output(),
    )
    if out is not None:
        _output().print(f"File: {out}", markup=False, soft_wrap=True)


policies = typer.Typer(
    name="policy",
    help="Explain, compare and check policies: the parameters of the agreement and the models.",
    no_args_is_help=True,
)
app.add_typer(policies)

POLICY = typer.Argument(metavar="FILE|NAME", help="A policy file, or the name of a shipped one.")


@policies.command("show")
def show_policy(policy: Annotated[str | None, POLICY] = None) -> None:
    """Say what a policy does: each parameter, its value, standing and source."""
    from crossmargin.policies import read_policy
    from crossmargin.report.policy import print_policy

    print_policy(read_policy(policy), _output())


@policies.command("diff")
def diff_policies(policy_a: Annotated[str, POLICY], policy_b: Annotated[str, POLICY]) -> None:
    """Show what two policies differ in."""
    from crossmargin.policies import read_policy
    from crossmargin.report.policy import print_differences

    print_differences(read_policy(policy_a), read_policy(policy_b), _output())


@policies.command("check")
def check_policy(policy: Annotated[str, POLICY]) -> None:
    """Say whether a policy can be used; exit code 2 if not."""
    from crossmargin.policies import read_policy

    checked = read_policy(policy)
    typer.echo(f"OK: {checked.name}, effective from {checked.effective_from}, hash {checked.hash}")


@policies.command("list")
def list_policies() -> None:
    """List the policies that come with the package."""
    from crossmargin.policies import shipped_policies

    for name in shipped_policies():
        typer.echo(name)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the one place where an error becomes an exit code.

    Parameters
    ----------
    arguments
        Of the command line, without the program's name; default: those of this process.

    Returns
    -------
    int
        0 written; 3 written, some rows rejected; 2 unusable input, nothing written; 70 internal
        error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        app(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except InputError as error:
        sys.stderr.write(f"crossmargin: {error}\n")
        return UNUSABLE
    except Exception:
        traceback.print_exc()
        sys.stderr.write(
            "crossmargin: internal error; this is a fault of the program, not of your input. "
            "Please report it with the lines above.\n"
        )
        return INTERNAL
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def command() -> NoReturn:
    """Run the command and end the process with its exit code."""
    # What has been imported stays: the garbage collector need not look through it again and again.
    gc.freeze()
    code = main()
    for stream in (sys.stdout, sys.stderr):
        # Whoever read our output may have left.
        with contextlib.suppress(OSError):
            stream.flush()
    # Arrow's threads may still be starting; an ordinary exit can then abort the process.
    os._exit(code)


def _output() -> Console:
    """Return standard output: as wide as the terminal, or wide and plain where piped."""
    return Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 160)


def _terminated(number: int, frame: object) -> None:
    """End by SIGTERM as by an exception, so that half-written results are removed."""
    sys.exit(128 + number)
