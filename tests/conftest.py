"""Fixtures for all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings

import crossmargin as xm
from crossmargin.engine import Book
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.terms import Line, resolve
from crossmargin.instruments.universe import (
    FORWARD_CASH,
    FUTURE,
    TREASURY,
    Universe,
    build_universe,
)
from crossmargin.io.market_tables import market_from_tables
from crossmargin.market import Market
from crossmargin.market.curve import POINTS, TENORS, Curve
from crossmargin.policies import ScenarioRules, read_policy
from crossmargin.sample import ACCOUNTS, sample_tables

DATA = Path(
    os.environ.get("CROSSMARGIN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)

# How long an example takes depends on what else the machine does.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _hear_ctrl_c() -> Iterator[None]:
    """Hear Ctrl-C also where the shell that started the tests ignores it, as for jobs behind it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return the path of a file of real figures; tests are skipped, by name, without it."""

    def path(name: str) -> Path:
        file = DATA / name
        if not file.exists():
            pytest.skip(f"real data not here: {name}")
        return file

    return path


@pytest.fixture(scope="session")
def make_securities() -> Callable[..., Securities]:
    """Return a maker of securities, one a dict; only issue_date and maturity_date must be there."""

    def make(*rows: dict[str, Any]) -> Securities:
        def column(name: str, default: Any, dtype: Any) -> Any:
            return np.array([row.get(name, default) for row in rows], dtype=dtype)

        names = [row.get("cusip", f"CUSIP{number:04d}") for number, row in enumerate(rows)]
        return Securities(
            cusip=np.array(names, dtype=object),
            type=column("type", "note", object),
            coupon=column("coupon", 0.04, np.float64),
            issue_date=column("issue_date", None, "datetime64[D]"),
            maturity_date=column("maturity_date", None, "datetime64[D]"),
            first_coupon_date=column("first_coupon_date", "NaT", "datetime64[D]"),
            price=column("price", np.nan, np.float64),
            resold_as=column("resold_as", "", object),
            outstanding=column("outstanding", np.nan, np.float64),
        )

    return make


@pytest.fixture(scope="session")
def sample_book() -> Callable[..., dict[str, Any]]:
    """Return a maker of synthetic books of so many accounts, as `crossmargin.run` takes them."""

    def make(accounts: int = ACCOUNTS) -> dict[str, Any]:
        tables = sample_tables(accounts=accounts)
        return {name: tables[name] for name in ("positions", "accounts", "securities")}

    return make


@pytest.fixture(scope="session")
def sample_inputs(sample_book: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Return the synthetic market and book as `crossmargin.run` takes them."""
    return {**sample_book(), "market": xm.sample_market()}


@pytest.fixture(scope="session")
def sample_run(sample_inputs: dict[str, Any]) -> xm.RunResult:
    """Return the synthetic book's run under the default policy."""
    return xm.run(**sample_inputs)


AS_OF = np.datetime64("2025-03-13")
FLAT = Curve(AS_OF, np.zeros(POINTS.size))
"""All discount factors are 1."""

MakeUniverse = Callable[..., Universe]
MakeBook = Callable[[Sequence[dict[int, int]]], Book]


@pytest.fixture
def by_hand() -> MakeUniverse:
    """Return a function from (name, flows, scale) to a universe on a curve of discount factors 1.

    Flows are (time, amount) for a Treasury or forward cash leg, (time, amount, horizon) for a
    future.
    """

    def make(
        *instruments: tuple[str, list[tuple[float, ...]], float],
        market_value: Sequence[float] | None = None,
        years: Sequence[float] | None = None,
    ) -> Universe:
        lines = []
        for _, flows, _ in instruments:
            columns = np.array([(*flow, 0.0)[:3] for flow in flows]).reshape(-1, 3)
            lines.append(Line(columns[:, 1], columns[:, 0], columns[:, 2]))
        name = np.array([text for text, _, _ in instruments], dtype=object)
        kind = [
            FORWARD_CASH if text.startswith("USD") else TREASURY if len(text) == 9 else FUTURE
            for text in name
        ]
        size = len(instruments)
        empty = np.array([not flows for _, flows, _ in instruments])
        return Universe(
            name=name,
            kind=np.array(kind, dtype=object),
            root=np.array([t[:-3] if k == FUTURE else "" for t, k in zip(name, kind, strict=True)]),
            unpriced=np.where(empty, "NO_MODEL", "").astype(object),
            cheapest=np.full(size, "", dtype=object),
            price=np.full(size, np.nan),
            market_value=np.zeros(size) if market_value is None else np.array(market_value),
            years=np.zeros(size) if years is None else np.array(years),
            terms=resolve(
                lines,
                [1] * size,
                FLAT,
                np.array([scale for _, _, scale in instruments]),
            ),
            line_spread=np.zeros(size),
        )

    return make


@pytest.fixture
def book_of() -> MakeBook:
    """Return a function from {instrument: quantity} of each row, four rows a group, to a book."""

    def make(rows: Sequence[dict[int, int]]) -> Book:
        ptr = np.cumsum([0, *(len(row) for row in rows)])
        column = [instrument for row in rows for instrument in sorted(row)]
        quantity = [row[instrument] for row in rows for instrument in sorted(row)]
        return Book.from_arrays(ptr, column, quantity, columns=10)

    return make


def make_market(size: float = 0.03, *, rows: int = 160) -> Market:
    """Return a market whose yields move by some `size` percent a day and node, and come back."""
    days = np.busday_offset(AS_OF, np.arange(1 - rows, 1), roll="backward")
    level = np.array([4.3, 4.3, 4.2, 4.1, 4.0, 4.0, 4.1, 4.2, 4.3, 4.7, 4.6])
    steps = np.random.default_rng(7).integers(-8, 9, (rows, level.size)) / 8.0
    away = np.zeros_like(steps)
    for row in range(1, rows - 1):
        away[row] = 0.75 * away[row - 1] + steps[row]
    percent = level + size * away
    par_yields = pa.table({"date": days, **{name: percent[:, k] for k, name in enumerate(TENORS)}})
    moved = np.random.default_rng(8).integers(-8, 9, rows) / 8.0
    basis = pa.table(
        {"date": days, "root": ["ZN"] * rows, "contract": ["ZNM25"] * rows, "basis": size * moved}
    )
    return market_from_tables(par_yields, as_of=AS_OF, basis=basis)


@pytest.fixture(scope="session")
def market() -> Market:
    return make_market()


@pytest.fixture(scope="session")
def calm_market() -> Market:
    """Return a market that hardly moves."""
    return make_market(1e-4)


@pytest.fixture(scope="session")
def wild_market() -> Market:
    """Return a market in which another bond often becomes the cheapest to deliver."""
    return make_market(0.3)


@pytest.fixture(scope="session")
def scenario_rules(market: Market) -> ScenarioRules:
    """Return rules for the small market: 100 rows, and stress rows before and among them."""
    first, last = str(market.history.date[20]), str(market.history.date[79])
    return replace(
        read_policy().scenarios, look_back=100, minimum_rows=100, stress_windows=((first, last),)
    )


NOTES = (
    ("ZF0000001", 0.04, "2025-02-28", "2030-02-28"),
    ("ZN0000001", 0.045, "2024-12-31", "2031-12-31"),
    ("ZN0000002", 0.0425, "2025-02-28", "2032-02-29"),
    ("ZT0000001", 0.04125, "2022-03-31", "2027-03-31"),
)


@pytest.fixture(scope="session")
def build(make_securities: Callable[..., Securities]) -> Callable[[Market], Universe]:
    """Return a function from a market to real instruments: notes, forward cash, ZTM25, ZNM25."""
    keys = ("cusip", "coupon", "issue_date", "maturity_date")
    securities = make_securities(*(dict(zip(keys, note, strict=True)) for note in NOTES))

    def build(market: Market) -> Universe:
        universe = build_universe(
            securities=securities,
            held=np.arange(len(NOTES)),
            cash_dates=np.array(["2025-06-02"], dtype="datetime64[D]"),
            contracts=[Contract(root, np.datetime64("2025-06")) for root in ("ZT", "ZN")],
            market=market,
        )
        assert universe.priced.all()
        return universe

    return build


@pytest.fixture(scope="session")
def run_by_cubes() -> Callable[..., xm.RunResult]:
    """Return a function that runs a book whose margins can be worked out by hand.

    Both clearing houses take their worst of two scenarios: 100 face of cash lose or gain 1 USD, a
    ZNU26 gains or loses 500 USD at FICC and 300 at CME. Positions are (account, face, contracts in
    the cross-margin account, contracts in the ordinary one). Accounts whose names begin with OUT
    have not opted in.
    """

    def run(*positions: tuple[str, int, int, int], **more: Any) -> xm.RunResult:
        rows = [
            (account, kind, instrument, quantity, where)
            for account, face, inside, outside in positions
            for kind, instrument, quantity, where in (
                ("cash", "91282CMM0", face, True),
                ("future", "ZNU26", inside, True),
                ("future", "ZNU26", outside, False),
            )
            if quantity
        ]
        columns = zip(*rows, strict=True)
        names = ("account", "kind", "instrument", "quantity", "xm")
        book = dict(zip(names, map(list, columns), strict=True))
        accounts = [account for account, *_ in positions]

        def cube(future: float) -> pa.Table:
            return pa.table(
                {"instrument": ["91282CMM0", "ZNU26"], "a": [-1.0, future], "b": [1.0, -future]}
            )

        rules = more.pop("policy", None) or read_policy()
        given = {
            "positions": pa.table(book),
            "accounts": pa.table(
                {
                    "account": accounts,
                    "origin": ["customer"] * len(accounts),
                    "ficc_role": ["sponsored_member"] * len(accounts),
                    "opted_in": [not account.startswith("OUT") for account in accounts],
                    "clearing_firm": ["FCM"] * len(accounts),
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
            "market": xm.sample_market(),
            "ficc_cube": cube(500.0),
            "cme_cube": cube(300.0),
            "policy": replace(rules, ficc=replace(rules.ficc, floor_share=0.0)),
        }
        return xm.run(**{**given, **more})

    return run
