"""The books of the benchmark of allocations: the sample's, a large one, and one of real issues."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

import crossmargin as xm
from crossmargin.book.schemas import SECURITIES
from crossmargin.book.securities import read_securities
from crossmargin.exceptions import ExceptionLog
from crossmargin.instruments.securities import Securities, accrued, cash_flows
from crossmargin.io.parse import parse
from crossmargin.market.curve import TENORS, Curve
from crossmargin.market.draws import Draws
from crossmargin.sample import sample_tables
from crossmargin.sample.book import make_accounts, make_legs, make_positions
from crossmargin.sample.market import History
from crossmargin.sample.tradable import make_tradable

DATA = Path(
    os.environ.get("CROSSMARGIN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
YIELDS, ISSUES = "us_treasury_par_yields.csv.gz", "fixed_coupon_master.csv"
REAL_AS_OF = "2025-03-13"
LARGE, LARGE_SEED = 20_000, 11
REAL, REAL_SEED = 3_000, 5
SMALL = 300
"""Accounts of each book where only a little is measured."""
Inputs = dict[str, Any]


def books(small: bool) -> dict[str, Inputs]:
    """Return the arguments of `crossmargin.run` for each book, by name."""
    found = {
        "sample": sample_book(**({"accounts": SMALL} if small else {})),
        "large": sample_book(accounts=SMALL if small else LARGE, seed=LARGE_SEED),
    }
    if not missing():
        found["real issues"] = real_book(SMALL if small else REAL, REAL_SEED)
    return found


def missing() -> list[str]:
    """Return the files of real figures that are not there."""
    return [name for name in (YIELDS, ISSUES) if not (DATA / name).exists()]


def sample_book(**options: Any) -> Inputs:
    """Return a book of the sample's generator, on the sample's market."""
    tables = sample_tables(**options)
    book: Inputs = {name: tables[name] for name in ("positions", "accounts", "securities")}
    seed = {"seed": options["seed"]} if "seed" in options else {}
    return {**book, "market": xm.sample_market(**seed)}


def real_book(accounts: int, seed: int) -> Inputs:
    """Return a book of the sample's generator, in real issues on a market of real par yields."""
    market = xm.read_market(DATA / YIELDS, as_of=REAL_AS_OF)
    table = _issues(market.as_of)
    parsed = parse(table, SECURITIES, file="", log=ExceptionLog()).table
    securities = read_securities(parsed, curve=market.curve, file="", log=ExceptionLog())
    priced = replace(securities, price=_prices(securities, market.curve))
    last = _last_row(market.as_of)
    tradable = make_tradable(priced, last)
    people = make_accounts(Draws(seed, "accounts"), accounts)
    legs = make_legs(Draws(seed, "legs"), people, tradable)
    positions = make_positions(Draws(seed, "positions"), people, legs, tradable, last)
    return {
        "positions": positions,
        "accounts": people.table(),
        "securities": table,
        "market": market,
    }


def _issues(as_of: np.datetime64) -> pa.Table:
    """Return the fixed-coupon issues that are outstanding on a day, as a securities table."""
    texts = dict.fromkeys(("cusip", "resold_as"), pa.string())
    table = csv.read_csv(DATA / ISSUES, convert_options=csv.ConvertOptions(column_types=texts))
    issued, matures = (table[f"{name}_date"].to_numpy() for name in ("issue", "maturity"))
    table = table.filter(pa.array((issued <= as_of) & (matures > as_of)))
    return table.append_column("type", pa.repeat("note", len(table)))


def _prices(securities: Securities, curve: Curve) -> np.ndarray:
    """Return clean prices: the cash flows discounted on the curve."""
    flows = cash_flows(securities, curve)
    owner = np.repeat(np.arange(securities.cusip.size), np.diff(flows.ptr))
    value = flows.amount * curve.discount_factor(flows.time)
    return np.bincount(owner, value, securities.cusip.size) - accrued(securities, curve.as_of)


def _last_row(as_of: np.datetime64) -> History:
    """Return the par yields of a day as what the sample's generator takes for its history."""
    rows = csv.read_csv(DATA / YIELDS)
    row = np.flatnonzero(rows["date"].to_numpy() == as_of)
    percent = np.array([[rows[name][row[0]].as_py() for name in TENORS]])
    return History(np.array([as_of]), percent, np.ones(1))
