"""What margin of short-rate futures looks like along the strip, under several policies.

Neighbouring quarters should be margined alike: outrights without jumps, calendar spreads of like
size, butterflies above nothing and below an outright.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from matplotlib.figure import Figure
from tools.calibration.pages import style, svg, table

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
"""Initial margin of SR3 in force on `STRIP_DAY`, USD a contract (CME)."""
INITIAL = 1.1
"""Initial margin of a speculator over maintenance margin."""

KINDS = ("outright", "calendar", "butterfly")

Books = dict[str, dict[str, int]]
"""Contracts by instrument, by name of the book."""
Margins = dict[str, dict[str, float]]
"""V, HVaR and SVaR, USD, by name of the book."""


def fragment(policies: Sequence[str], data: Path) -> tuple[str, dict[str, str]]:
    """Return the strip under each policy, as Markdown and as a figure.

    Parameters
    ----------
    policies : sequence of str
        Names or paths, at least one; with CME's model by historical simulation.
    data : Path
        A folder with `us_treasury_par_yields.csv.gz` and `sofr.csv`.

    Returns
    -------
    markdown : str
    figures : dict of str to str
        SVG by file name.
    """
    strip = {name: margins(strip_books(), name, data, STRIP_DAY) for name in policies}
    front = {name: margins(outrights(FRONT), name, data, FRONT_DAY) for name in policies}
    parts = ["### Short-rate futures", _strip(strip), _published(strip), _front(front)]
    return "\n\n".join(parts) + "\n", {"strip.svg": _figure(strip)}


def outrights(contracts: Sequence[str]) -> Books:
    """Return a book of one contract for each."""
    return {contract: {contract: 1} for contract in contracts}


def strip_books() -> Books:
    """Return outrights of the strip, calendars and butterflies of its neighbouring quarters."""
    name = [f"SR3{quarter}" for quarter in QUARTERS]
    books = outrights(["SR3M25", *name])
    for near, far in pairwise(name):
        books[f"calendar {near}"] = {near: 1, far: -1}
    for near, body, far in zip(name, name[1:], name[2:], strict=False):
        books[f"butterfly {near}"] = {near: 1, body: -2, far: 1}
    return books


def margins(books: Books, policy: str, data: Path, day: str) -> Margins:
    """Return what CME's model asks for each book, long or short, whichever is more."""
    market = xm.read_market(
        data / "us_treasury_par_yields.csv.gz", as_of=day, fixings=data / "sofr.csv"
    )
    found: Margins = {}
    for side in (1, -1):
        run = xm.run(**_inputs(books, side), market=market, policy=policy)
        here: Margins = {name: {} for name in books}
        for row in run.components.to_arrow().to_pylist():
            if (row["ccp"], row["portfolio"]) == ("CME", "futures"):
                here[row["account"]][row["component"]] = float(row["amount"])
        for name, own in here.items():
            if name not in found or own["V"] > found[name]["V"]:
                found[name] = own
    return found


def _inputs(books: Books, side: int) -> dict[str, pa.Table]:
    """Return books of futures as `crossmargin.run` takes them, an account for each."""
    rows = [(name, contract, n) for name, book in books.items() for contract, n in book.items()]
    positions = {
        "account": [name for name, _, _ in rows],
        "kind": ["future"] * len(rows),
        "instrument": [contract for _, contract, _ in rows],
        "quantity": [side * n for _, _, n in rows],
        "xm": [True] * len(rows),
    }
    accounts = {
        "account": list(books),
        "origin": ["customer"] * len(books),
        "ficc_role": ["sponsored_member"] * len(books),
        "opted_in": [True] * len(books),
        "clearing_firm": ["FCM"] * len(books),
    }
    # The list of securities may not be empty; none is held.
    note = {
        "cusip": ["91282CMM0"],
        "coupon_pct": [4.625],
        "issue_date": ["2025-02-15"],
        "maturity_date": ["2035-02-15"],
    }
    return {
        "positions": pa.table(positions),
        "accounts": pa.table(accounts),
        "securities": pa.table(note),
    }


def _of_kind(found: Margins, kind: str) -> list[float]:
    """Return V of the outrights from the first quarter on, or of calendars or butterflies."""
    prefix = "" if kind == KINDS[0] else f"{kind} "
    return [
        found[f"{prefix}SR3{quarter}"]["V"]
        for quarter in QUARTERS
        if f"{prefix}SR3{quarter}" in found
    ]


def _strip(strip: dict[str, Margins]) -> str:
    """Return V along the strip: a column for each quarter, rows by policy and kind."""
    rows = []
    for policy, found in strip.items():
        for kind in KINDS:
            usd = [f"{v:.0f}" for v in _of_kind(found, kind)]
            rows.append([policy, kind, *usd, *[""] * (len(QUARTERS) - len(usd))])
    return (
        f"V at CME as of {STRIP_DAY}, USD a contract of SR3, a calendar or a butterfly, named by "
        "its first quarter; long or short, whichever is more.\n\n"
        f"{table(['policy', '', *QUARTERS], rows)}\n\n{_shape(strip)}"
    )


def _shape(strip: dict[str, Margins]) -> str:
    """Return how even the strip is. The first calendar, within six months, is left out."""
    head = [
        *("policy", "largest step between outrights"),
        *("calendars beyond six months: largest / smallest", "smallest butterfly"),
        "largest butterfly / its body",
    ]
    rows = []
    for policy, found in strip.items():
        outright, calendar, butterfly = (_of_kind(found, kind) for kind in KINDS)
        step = max(max(a, b) / min(a, b) - 1.0 for a, b in pairwise(outright))
        beyond = calendar[1:]
        share = max(v / body for v, body in zip(butterfly, outright[1:], strict=False))
        rows.append(
            [
                policy,
                f"{step:.0%}",
                f"{max(beyond) / min(beyond):.1f}",
                f"{min(butterfly):.0f}",
                f"{share:.2f}",
            ]
        )
    return table(head, rows)


def _published(strip: dict[str, Margins]) -> str:
    """Return V of SR3 over the published margins."""
    rows = [["", "initial, USD", *map(str, PUBLISHED.values())]]
    for policy, found in strip.items():
        for over, scale in (("initial", 1.0), ("maintenance", INITIAL)):
            ratio = [found[f"SR3{q}"]["V"] * scale / usd for q, usd in PUBLISHED.items()]
            rows.append([policy, over, *(f"{each:.2f}" for each in ratio)])
    return (
        f"V of SR3 as of {STRIP_DAY} over the published initial margin, and over maintenance "
        f"margin (initial / {INITIAL:g}).\n\n" + table(["policy", "over", *PUBLISHED], rows)
    )


def _front(front: dict[str, Margins]) -> str:
    """Return V and its parts of the front contracts."""
    names = ("HVaR", "SVaR", "V")
    rows = [
        [policy, contract, *(f"{own[name]:.0f}" for name in names)]
        for policy, found in front.items()
        for contract, own in found.items()
    ]
    return f"Front contracts as of {FRONT_DAY}, USD.\n\n" + table(
        ["policy", "contract", *names], rows
    )


def _figure(strip: dict[str, Margins]) -> str:
    """Return outrights, calendars and butterflies along the strip as SVG."""
    with style("strip"):
        figure = Figure(figsize=(9.0, 7.0), layout="constrained")
        for kind, axes in zip(KINDS, figure.subplots(3, 1, sharex=True), strict=True):
            for policy, found in strip.items():
                usd = _of_kind(found, kind)
                axes.plot(QUARTERS[: len(usd)], usd, marker="o", label=policy)
            axes.set_ylabel(f"{kind}, USD")
            axes.set_ylim(bottom=0.0)
            axes.grid(alpha=0.3)
        figure.axes[0].legend(frameon=False)
        figure.axes[0].set_title(f"SR3: V at CME as of {STRIP_DAY}")
        return svg(figure)
