"""A synthetic, seeded market and client book: the embedded default. No figure in it is real.

The steps, each documented in its module:

- `market`: daily par yields from February 2006. Four factors and noise move around the broad rate
  regimes of the last two decades, with clustered volatility and fat tails. Also a basis history of
  the eight Treasury futures with quarterly rolls.
- `securities`: notes and bonds issued as the Treasury issues them, with coupons set by the
  synthetic yields and prices from the synthetic curve. Some may not be cross-margined.
- `tradable`: the instruments that accounts trade, with their sensitivities and popularity.
- `book`: accounts of nine trading styles, from empty ones to the firm's own, with log-normal sizes:
  basis, curve, switch, strip and outright trades; repo, reverse and unsettled purchases. Some are
  outside the cross-margin account, some at another firm.
- `day`: the book as it arrives during a day, and what is on deposit.
- `flaws`: edge cases and bad rows, at least one of every kind that such files can have.
- `draws`: raw PCG64 output and exact arithmetic only, so a seed gives the same bits everywhere.

CUSIPs start with `SYN`; customers and firms are called `Synthetic ...`.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from pyarrow import csv

from crossmargin.instruments.schedule import as_dates
from crossmargin.io.hashes import table_hash
from crossmargin.io.market_tables import market_from_tables
from crossmargin.io.replace import flush, replacing
from crossmargin.market import Market
from crossmargin.market.draws import Draws
from crossmargin.sample.book import make_accounts, make_legs, make_positions
from crossmargin.sample.day import PLAN, day_tables
from crossmargin.sample.flaws import flawed_accounts, flawed_positions, flawed_securities
from crossmargin.sample.market import make_basis, make_history
from crossmargin.sample.securities import last_matured, make_securities, securities_table
from crossmargin.sample.tradable import make_tradable

__all__ = [
    "ACCOUNTS",
    "AS_OF",
    "SEED",
    "TABLES",
    "sample_market",
    "sample_tables",
    "write_sample",
    "write_sample_day",
]

AS_OF = np.datetime64("2026-06-10", "D")
"""Day of the default sample: the June contracts are about to expire."""
SEED = 2026
ACCOUNTS = 3000
FEWEST_ACCOUNTS = 10
TABLES = ("positions", "accounts", "securities", "par_yields", "basis")


def sample_tables(
    *, accounts: int = ACCOUNTS, seed: int = SEED, as_of: np.datetime64 | str = AS_OF
) -> dict[str, pa.Table]:
    """Return a synthetic market and client book as input tables.

    Parameters
    ----------
    accounts : int
        Accounts of the book, 10 or more. A few unusable rows are added to them. The market does
        not depend on it.
    seed : int
        Zero or more. One seed gives the same bits on every machine.
    as_of : datetime64[D] or str
        A business day of the bond market, from 2023 to 2049.

    Returns
    -------
    dict of str to pyarrow.Table
        `positions`, `accounts`, `securities`, `par_yields` and `basis`, typed, with the columns of
        the input files.

    Raises
    ------
    ValueError
        An argument is out of range.
    """
    if accounts < FEWEST_ACCOUNTS:
        raise ValueError(f"accounts: {accounts} is too small; give {FEWEST_ACCOUNTS} or more")
    if seed < 0:
        raise ValueError(f"seed: {seed} must be 0 or more")
    history = make_history(seed, _day(as_of))
    securities = make_securities(seed, history)
    matured = last_matured(history)
    tradable = make_tradable(securities, history)

    people = make_accounts(Draws(seed, "accounts"), accounts)
    legs = make_legs(Draws(seed, "legs"), people, tradable)
    positions = make_positions(Draws(seed, "positions"), people, legs, tradable, history)
    return {
        "positions": flawed_positions(
            Draws(seed, "flaws"),
            positions,
            people,
            securities,
            matured.cusip[0],
            history.date[-1],
        ),
        "accounts": flawed_accounts(people.table()),
        "securities": flawed_securities(securities_table(securities), securities_table(matured)),
        "par_yields": history.table(),
        "basis": make_basis(seed, history),
    }


def sample_market(*, seed: int = SEED, as_of: np.datetime64 | str = AS_OF) -> Market:
    """Return the synthetic market alone, marked as such.

    Parameters
    ----------
    seed, as_of
        As in `sample_tables`.

    Returns
    -------
    Market
    """
    history = make_history(seed, _day(as_of))
    tables = {"par_yields": history.table(), "basis": make_basis(seed, history)}
    return market_from_tables(
        **tables,
        as_of=history.date[-1],
        synthetic=True,
        source={name: {"hash": table_hash(table)} for name, table in tables.items()},
    )


def _day(as_of: np.datetime64 | str) -> np.datetime64:
    """Return the as-of date as datetime64[D]."""
    return cast(np.datetime64, as_dates(as_of, "as_of")[()])


def write_sample(
    out: str | Path,
    *,
    accounts: int = ACCOUNTS,
    seed: int = SEED,
    as_of: np.datetime64 | str = AS_OF,
) -> list[Path]:
    """Write a synthetic market and client book as CSV files, ready for a run.

    Parameters
    ----------
    out : str or Path
        A directory; it is made if it does not exist.
    accounts, seed, as_of
        As in `sample_tables`.

    Returns
    -------
    list of Path
        `positions.csv`, `accounts.csv`, `securities.csv`, `par_yields.csv` and `basis.csv`.

    Raises
    ------
    FileExistsError
        A file with one of these names exists and differs; nothing is written.
    """
    tables = sample_tables(accounts=accounts, seed=seed, as_of=as_of)
    return _write(Path(out), {f"{name}.csv": _as_csv(tables[name]) for name in TABLES})


def write_sample_day(
    out: str | Path,
    *,
    accounts: int = ACCOUNTS,
    seed: int = SEED,
    as_of: np.datetime64 | str = AS_OF,
) -> list[Path]:
    """Write the synthetic book as the folder of a day, ready for `play_day`.

    Parameters
    ----------
    out, accounts, seed, as_of
        As in `write_sample`.

    Returns
    -------
    list of Path
        `day.toml`, the static inputs, and in `arrivals` the positions of each cycle.

    Raises
    ------
    FileExistsError
        A file with one of these names exists and differs; nothing is written.
    """
    tables = day_tables(sample_tables(accounts=accounts, seed=seed, as_of=as_of), seed)
    contents = {f"{name}.csv": _as_csv(table) for name, table in tables.items()}
    return _write(Path(out), {"day.toml": PLAN.format(day=_day(as_of)).encode(), **contents})


def _write(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    """Write files to a folder, unless they would replace others."""
    paths = {folder / name: data for name, data in contents.items()}
    for parent in sorted({path.parent for path in paths}):
        parent.mkdir(parents=True, exist_ok=True)
    taken = [p.name for p, data in paths.items() if p.exists() and p.read_bytes() != data]
    if taken:
        raise FileExistsError(
            f"{folder} has other {', '.join(taken)}, which would be lost; give another directory"
        )
    for path, data in paths.items():
        with replacing(path) as fresh:
            fresh.write_bytes(data)
            flush(fresh)
    return list(paths)


def _as_csv(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(quoting_style="none"))
    return bytes(sink.getvalue())
