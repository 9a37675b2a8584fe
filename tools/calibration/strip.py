"""What margin of short-rate futures looks like along the strip, under several policies.

Neighbouring quarters should be margined alike: outrights without jumps, calendar spreads of like
size, butterflies above nothing and below an outright.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import pyarrow as pa
from matplotlib.figure import Figure

import crossmargin as xm

STRIP_DAY, FRONT_DAY = "2025-06-04", "2025-03-13"
QUARTERS = ("U25", "Z25", "H26", "M26", "U26", "Z26", "H27", "M27", "U27", "Z27", "H28", "M28")
FRONT = ("ZQJ25", "SR1J25", "SR3M25")
"""The first contracts whose month, or reference quarter, begins after the day."""
PUBLISHED = {
    "M25": 425,
    "U25": 650,
    "Z25": 765,
    "H26": 825,
    "M26": 825,
    "U26": 825,
    "Z26": 800,
    "H27": 750,
}
"""Initial margin of SR3 in force on `STRIP_DAY`, USD a contract (CME, as published by Rogerson)."""
INITIAL = 1.1
"""Initial margin of a speculator over maintenance margin."""

Book = dict[str, dict[str, int]]
"""Contracts by instrument, by name of the book."""


def fragment(policies: Sequence[str], data: Path) -> tuple[str, dict[str, str]]:
    """Return the strip under each policy, as Markdown and as figures.

    Parameters
    ----------
    policies : sequence of str
        Names or paths; at least one.
    data : Path
        A folder with `us_treasury_par_yields.csv.gz` and `sofr.csv`.

    Returns
    -------
    markdown : str
    figures : dict of str to str
        SVG by file name.
    """
    strip = {name: _margins(_strip_books(), name, data, STRIP_DAY) for name in policies}
    front = {name: _margins(_outrights(FRONT), name, data, FRONT_DAY) for name in policies}
    parts = ["### Short-rate futures", _strip_table(strip), _published_table(strip)]
    return "\n\n".join([*parts, _front_table(front)]) + "\n", {"strip.svg": _figure(strip)}


def _outrights(contracts: Sequence[str]) -> Book:
    return {contract: {contract: 1} for contract in contracts}


def _strip_books() -> Book:
    """Return the outrights, then calendars and butterflies of neighbouring quarters."""
    name = [f"SR3{quarter}" for quarter in ("M25", *QUARTERS)]
    books = _outrights(name)
    for near, far in zip(name[1:], name[2:], strict=False):
        books[f"{near}-{far}"] = {near: 1, far: -1}
    for near, body, far in zip(name[1:], name[2:], name[3:], strict=False):
        books[f"{near}-2{body}+{far}"] = {near: 1, body: -2, far: 1}
    return books


def _margins(books: Book, policy: str, data: Path, day: str) -> dict[str, dict[str, float]]:
    """Return V_C, HVaR and SVaR of each book, USD: the larger V_C of both sides, and its parts."""
    found: dict[str, dict[str, float]] = {}
    market = xm.read_market(
        data / "us_treasury_par_yields.csv.gz", as_of=day, fixings=data / "sofr.csv"
    )
    for side in (1, -1):
        rows = [
            (name, contract, side * quantity)
            for name, book in books.items()
            for contract, quantity in book.items()
        ]
        run = xm.run(**_inputs(rows), market=market, policy=policy)
        margins = run.accounts.to_arrow().select(["account", "v_cme_futures"]).to_pylist()
        parts = [
            row
            for row in run.components.to_arrow().to_pylist()
            if row["ccp"] == "CME" and row["portfolio"] == "futures"
        ]
        for row in margins:
            own = {"V_C": row["v_cme_futures"]}
            own |= {r["component"]: r["amount"] for r in parts if r["account"] == row["account"]}
            if own["V_C"] > found.get(row["account"], {"V_C": -1.0})["V_C"]:
                found[row["account"]] = own
    return found


def _inputs(rows: Sequence[tuple[str, str, int]]) -> dict[str, pa.Table]:
    """Return a book of futures as `crossmargin.run` takes it: one account for each name."""
    account, contract, quantity = zip(*rows, strict=True)
    names = list(dict.fromkeys(account))
    return {
        "positions": pa.table(
            {
                "account": account,
                "kind": ["future"] * len(rows),
                "instrument": contract,
                "quantity": quantity,
                "xm": [True] * len(rows),
            }
        ),
        "accounts": pa.table(
            {
                "account": names,
                "origin": ["customer"] * len(names),
                "ficc_role": ["sponsored_member"] * len(names),
                "opted_in": [True] * len(names),
                "clearing_firm": ["FCM"] * len(names),
            }
        ),
        "securities": pa.table(
            {
                "cusip": ["91282CMM0"],
                "coupon_pct": [4.625],
                "issue_date": ["2025-02-15"],
                "maturity_date": ["2035-02-15"],
            }
        ),
    }
