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
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

try:
    import typer
    from rich.console import Console
    from typer.core import TyperCommand

    from crossmargin.report.console import Output
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

from crossmargin.exceptions import CODES, InputError, InputWarning
from crossmargin.io.market import as_of_date, read_market
from crossmargin.io.results import check_target, holds_results
from crossmargin.results.shown import shown

UNUSABLE = 2
REJECTED = 3
INTERNAL = 70
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# typer exports one kind of usage error; where the others live differs by its version.
UsageError: Any = typer.BadParameter.__mro__[1]


class StoppedError(BaseException):
    """A signal that ends the command, as an exception: half-written results are removed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.outcome = ""


class Once(TyperCommand):
    """A command that refuses an option given twice: only the last one would count."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Look at all options as they were given, then parse them as usual."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option, count in Counter(given).items():
            if count > 1 and option.nargs == 1 and not getattr(option, "multiple", False):
                raise InputError(f"{option.opts[0]} is given {count} times; give it once")
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="crossmargin",
    help="Margin of a client book under CME-FICC cross-margining: both houses' numbers.",
    epilog="Exit codes: 0 done; 3 written, some rows rejected; 2 unusable input or output, nothing "
    "written; 70 internal error; 128 + its number: stopped by a signal (130: Ctrl-C).",
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


PositionsFile = Annotated[
    Path | None,
    _input(
        "account, kind (cash, repo, reverse, future), instrument, quantity, xm; and where "
        "they apply settle_date, start_date, end_date, repo_rate, start_cash, failed, "
        "clearing_firm."
    ),
]
AccountsFile = Annotated[
    Path | None,
    _input(
        "account, origin (house, customer), ficc_role, opted_in, clearing_firm; optional "
        "customer, multiplier, floor, minimum. Other columns are carried to the results."
    ),
]
SecuritiesFile = Annotated[
    Path | None,
    _input(
        "cusip, coupon_pct, issue_date, maturity_date; optional type, first_coupon_date, "
        "price, resold_as, outstanding. Or the Treasury's auction results, or its list of the "
        "public debt, as they come."
    ),
]
ParYieldsFile = Annotated[
    list[Path] | None,
    _input(
        "The official Treasury download (CSV or XML) or FRED's as it comes, or date, 1mo, ..., "
        "30y; percent. May be given several times, such as a file a year."
    ),
]
AsOf = Annotated[
    str | None,
    typer.Option(help="The day the book is margined for, YYYY-MM-DD.", show_default=False),
]
FirmsFile = Annotated[
    Path | None,
    _input("clearing_firm, broker_dealer, fcm, cme_member, ficc_member."),
]
BasisFile = Annotated[
    Path | None,
    _input("date, root, contract, basis. Without it hedges look better than they are."),
]
SettlementsFile = Annotated[
    Path | None,
    _input(
        "date, contract, price of Treasury futures, today's and earlier: give the basis by "
        "our own model price."
    ),
]
FixingsFile = Annotated[
    Path | None,
    _input(
        "date, index (SOFR, EFFR), rate_pct. Or the New York Fed's or FRED's download as it comes."
    ),
]
SofrFile = Annotated[
    Path | None,
    _input(
        "date, 1mo, ..., 30y (some of them): swap rates against SOFR, percent. Without it "
        "short-rate futures move with the Treasury curve."
    ),
]
PolicyName = Annotated[
    str | None,
    typer.Option(
        help="Policy file (TOML), or the name of a shipped one, instead of the default.",
        metavar="FILE|NAME",
        show_default=False,
    ),
]
FiccCubeFile = Annotated[
    Path | None,
    _input("P&L of your own for FICC: instrument and a column for each scenario, USD."),
]
CmeCubeFile = Annotated[Path | None, _input("P&L of your own for CME; goes with --ficc-cube.")]
SpanFile = Annotated[
    Path | None,
    _input("SPAN risk parameters (.pa2), for a policy whose cme.model is span."),
]
VolumesFile = Annotated[
    Path | None,
    _input(
        "contract (or root), adv, for a policy that charges concentration; optional "
        "open_interest: larger positions are noted."
    ),
]
Cycle = Annotated[str, typer.Option(help="Margin cycle of the day: ITD, EOD, EODXM or CUR.")]
ColumnsFile = Annotated[
    Path | None,
    typer.Option(
        help="What our columns are called in your files, with units (TOML).",
        metavar="FILE",
        show_default=False,
    ),
]


def _version(asked: bool) -> None:
    if asked:
        _print(f"crossmargin {importlib.metadata.version('crossmargin')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Carry the options of the command itself."""


@app.command(cls=Once)
def run(
    out: Annotated[
        Path,
        typer.Option(help="Directory for the results; earlier results there are replaced."),
    ],
    sample: Annotated[
        bool, typer.Option("--sample", help="Run the embedded synthetic market and book.")
    ] = False,
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
    policy: PolicyName = None,
    ficc_cube: FiccCubeFile = None,
    cme_cube: CmeCubeFile = None,
    span_file: SpanFile = None,
    volumes: VolumesFile = None,
    columns: ColumnsFile = None,
    cycle: Cycle = "EOD",
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads; default: what this process may use."),
    ] = None,
    max_rejected: Annotated[
        int | None,
        typer.Option(min=0, help="Write nothing and exit 2 if more rows are rejected."),
    ] = None,
    allow_empty: Annotated[
        bool,
        typer.Option(
            "--allow-empty", help="Margin a book without a usable row too; otherwise exit 2."
        ),
    ] = False,
) -> None:
    """Margin a book at both clearing houses and write the results to a directory.

    Inputs are CSV, Parquet or Excel, told by content. A row that cannot be read is
    rejected and listed in exceptions.parquet; the rest is run.
    """
    # The models are loaded only when they are run: help and mistakes answer at once.
    from crossmargin.calculation.run import run as margin_book

    check_target(out)
    out = out.expanduser()
    book: dict[str, Any] = {
        "positions": positions,
        "accounts": accounts,
        "securities": securities,
    }
    own = {**book, "par_yields": par_yields, "as_of": as_of}
    if sample and (any(own.values()) or basis or settlements or fixings or sofr or columns):
        raise InputError("--sample brings its own market and book; leave the other inputs out")
    if not sample:
        _check_given(own, "must be given, or --sample instead")
    with (
        _telling(out) as done,
        DelayedProgress(Console(stderr=True)) as progress,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", InputWarning)  # the summary's head says it
        if sample:
            from crossmargin.sample import sample_market, sample_tables

            tables = sample_tables()
            book = {name: tables[name] for name in book}
            market = sample_market()
        else:
            market = read_market(
                par_yields,
                as_of=as_of_date(as_of or ""),
                basis=basis,
                fixings=fixings,
                sofr=sofr,
                columns=columns,
            )
        result = margin_book(
            **book,
            market=market,
            firms=firms,
            settlements=settlements,
            policy=policy,
            ficc_cube=ficc_cube,
            cme_cube=cme_cube,
            span_file=span_file,
            volumes=volumes,
            columns=columns,
            cycle=cycle,
            threads=threads,
            max_rejected=max_rejected,
            allow_empty=allow_empty,
            progress=progress,
        )
        progress("writing", 1.0)
        done.add(result.manifest["run_id"])
        result.write(out)
    with _telling(out) as done:
        done.add(result.manifest["run_id"])
        _show(lambda console: print_summary(result, out, console))
    _exit_if_rejected(result.manifest["exceptions"])


@app.command(cls=Once)
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
    policy: PolicyName = None,
    ficc_cube: FiccCubeFile = None,
    cme_cube: CmeCubeFile = None,
    span_file: SpanFile = None,
    volumes: VolumesFile = None,
    columns: ColumnsFile = None,
    cycle: Cycle = "EOD",
) -> None:
    """Read the inputs of a run and say what it would set aside; nothing is computed or written.

    Exit codes are those of `run`: 0; 3, some rows would be rejected; 2, an input cannot be used.
    A history that is too short for the models shows in the run alone.
    """
    from crossmargin.calculation.inputs import read_inputs
    from crossmargin.policies import read_policy
    from crossmargin.report.terminal import print_check

    book: dict[str, Any] = {
        "positions": positions,
        "accounts": accounts,
        "securities": securities,
    }
    _check_given({**book, "par_yields": par_yields, "as_of": as_of}, "must be given")
    read_policy(policy)
    inputs = read_inputs(
        **book,
        market=read_market(
            par_yields,
            as_of=as_of_date(as_of or ""),
            basis=basis,
            fixings=fixings,
            sofr=sofr,
            columns=columns,
        ),
        firms=firms,
        settlements=settlements,
        volumes=volumes,
        ficc_cube=ficc_cube,
        cme_cube=cme_cube,
        span_file=span_file,
        column_map=columns,
        cycle=cycle,
    )
    _show(lambda console: print_check(inputs.source, inputs.log.table(), console))
    _exit_if_rejected(inputs.log.counts())


@app.command(cls=Once)
def sample(
    out: Annotated[
        Path, typer.Option(help="Directory; a file of yours with the same name is not replaced.")
    ],
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
    _print(f"SYNTHETIC: {', '.join(path.name for path in written)} in {out}")
    _print(f"crossmargin run {options} --as-of {day} --out RESULTS")


@app.command(cls=Once)
def compare(
    dir_a: Annotated[Path, typer.Argument(metavar="DIR_A", help="Results of a run.")],
    dir_b: Annotated[Path, typer.Argument(metavar="DIR_B", help="Results of another run.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Write all accounts to this file, .csv or .parquet.", show_default=False),
    ] = None,
) -> None:
    """Compare two runs account by account: two policies, two days."""
    from crossmargin.analysis.compare import differences, inputs_that_differ, margined
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
        _print(f"File: {out}")


policies = typer.Typer(
    name="policy",
    help="Explain, compare and check policies: the parameters of the agreement and the models.",
    no_args_is_help=True,
)
app.add_typer(policies)

POLICY = typer.Argument(metavar="FILE|NAME", help="A policy file, or the name of a shipped one.")


@policies.command("show")
def show_policy(policy: Annotated[str | None, POLICY] = None) -> None:
    """Say what a policy does: each parameter, its value, evidence and source."""
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
    _print(f"OK: {checked.name}, effective from {checked.effective_from}, hash {checked.hash}")


@policies.command("list")
def list_policies() -> None:
    """List the policies that come with the package."""
    from crossmargin.policies import shipped_policies

    for name in shipped_policies():
        _print(name)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the one place where an error becomes an exit code.

    Parameters
    ----------
    arguments
        Of the command line, without the program's name; default: those of this process.

    Returns
    -------
    int
        0 done; 3 written, some rows rejected; 2 unusable input or output, nothing written; 70
        internal error; 128 + its number for a signal.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # What is ignored stays so: `nohup` ignores SIGHUP.
    heard = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, _stop)) for number in heard]
    try:
        return app(arguments, standalone_mode=False) or 0
    except StoppedError as stop:
        _complain(f"stopped by {signal.Signals(stop.number).name}{stop.outcome}")
        return 128 + stop.number
    except SystemExit:
        # rich and typer end so where the reader of their output has left, as `head` does.
        return 0
    except InputError as error:
        _complain(str(error))
        return UNUSABLE
    except UsageError as error:
        # Without arguments the help has been printed, and there is no message.
        if message := error.format_message():
            end = "" if message.endswith((".", "?")) else "."
            # An option without its value comes without the command.
            path = error.ctx.command_path if error.ctx else "crossmargin"
            _complain(f"{message}{end} See `{path} --help`.")
        return UNUSABLE
    except OSError as error:
        # Inputs and results have messages of their own: this is standard output, on a full disk.
        _complain(f"cannot go on: {error}")
        return UNUSABLE
    except MemoryError:
        _complain("the memory does not suffice; give a smaller book, or run it on a larger machine")
        return UNUSABLE
    except Exception:
        _complain(
            "internal error; this is a fault of the program, not of your input. "
            "Please report it with the lines above.",
            above=traceback.format_exc(),
        )
        return INTERNAL
    finally:
        for number, handler in before:
            signal.signal(number, handler)


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


def _stop(number: int, frame: object) -> None:
    raise StoppedError(number)


@contextlib.contextmanager
def _telling(out: Path) -> Iterator[set[str]]:
    """Let a stop tell whether the results of the run whose id is put into the set stand."""
    ids: set[str] = set()
    try:
        yield ids
    except StoppedError as stop:
        written = any(holds_results(out, run_id) for run_id in ids)
        stop.outcome = f"; the results are in {out}" if written else f"; {out} is as it was"
        raise


def _show(summary: Callable[[Console], None]) -> None:
    """Print a summary; the exit code tells of what was done, whoever reads it."""
    try:
        # rich ends the process where the reader has left.
        with contextlib.suppress(SystemExit):
            summary(_output())
    except OSError as error:
        _complain(f"the summary cannot be printed: {error}")


def _print(line: str) -> None:
    _output().print(line, soft_wrap=True)


def _check_given(own: Mapping[str, Any], what: str) -> None:
    """Refuse a command without an input that it needs."""
    lacking = [f"--{name.replace('_', '-')}" for name, value in own.items() if not value]
    if lacking:
        raise InputError(f"{', '.join(lacking)} {what}")


def _exit_if_rejected(counts: Mapping[str, int]) -> None:
    if any(CODES[code].severity == "rejected" for code in counts):
        raise typer.Exit(REJECTED)


def _output() -> Output:
    """Return standard output: as wide as the terminal, or wide and plain where piped."""
    return Output(width=None if sys.stdout.isatty() else 160)


def _complain(message: str, *, above: str = "") -> None:
    """Write a message to standard error, if anybody reads it."""
    with contextlib.suppress(OSError):
        for line in (*above.splitlines(), f"crossmargin: {message}"):
            sys.stderr.write(f"{shown(line)}\n")
        sys.stderr.flush()
