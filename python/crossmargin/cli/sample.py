"""`crossmargin sample`: write a synthetic market and book."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from crossmargin.cli.output import print_line
from crossmargin.exceptions import InputError
from crossmargin.io.market import as_of_date


def sample(
    out: Annotated[
        Path, typer.Option(help="Directory; a file of yours with the same name is not replaced.")
    ],
    accounts: Annotated[int, typer.Option(min=10, help="Accounts of the book.")] = 3000,
    seed: Annotated[int, typer.Option(min=0, help="One seed gives the same files.")] = 2026,
    as_of: Annotated[
        str | None, typer.Option(help="A business day, YYYY-MM-DD.", show_default=False)
    ] = None,
    as_day: Annotated[
        bool, typer.Option("--day", help="As the folder of a day, with what arrives, for `day`.")
    ] = False,
) -> None:
    """Write a synthetic market and book as CSV files, ready for `run`, or for `day`."""
    from crossmargin.sample import AS_OF, write_sample, write_sample_day

    day = AS_OF if as_of is None else as_of_date(as_of)
    write = write_sample_day if as_day else write_sample
    try:
        written = write(out, accounts=accounts, seed=seed, as_of=day)
    except (ValueError, OSError) as error:
        raise InputError(f"sample: {_told(error)}") from error
    names = ", ".join(str(path.relative_to(out)) for path in written)
    print_line(f"SYNTHETIC: {names} in {out}")
    if as_day:
        print_line(f"crossmargin day {shlex.quote(str(out))}")
        return
    options = " ".join(
        f"--{path.stem.replace('_', '-')} {shlex.quote(str(path))}" for path in written
    )
    print_line(f"crossmargin run {options} --as-of {day} --out RESULTS")


def _told(error: ValueError | OSError) -> str:
    """Return an error in words: what the system says of a path without its number."""
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename} cannot be made a directory; --out names one, not a file"
    return f"{error.filename} cannot be written: {error.strerror}"
