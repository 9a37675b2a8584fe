"""A market move: new cubes of both models from a new curve, and the whole book on them.

The universe is as large as that of the headline book: all securities of the sample, their forward
cash legs, and the next futures of every root. Nothing is read again: securities, policy and book
stay in memory.
"""

from __future__ import annotations

import time

import generator
import numpy as np

import crossmargin as xm
from crossmargin.agreement.clients import Clients
from crossmargin.book.schemas import SECURITIES
from crossmargin.book.securities import read_securities
from crossmargin.book.trades import canonical_order
from crossmargin.calculation.margins import agree_offsets, margin_accounts, require_accounts
from crossmargin.calculation.policy_market import policy_market
from crossmargin.calculation.prepared import PreparedModels, prepare_models
from crossmargin.conventions import SEGMENTS
from crossmargin.engine import Execution
from crossmargin.exceptions import ExceptionLog
from crossmargin.instruments.contracts import Contract, roots
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.instruments.universe import build_universe
from crossmargin.io.parse import parse
from crossmargin.market.curve import Curve
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.sample import sample_tables

MONTHS_AHEAD = 60
"""More than the futures of all roots need."""


class Desk:
    """Everything that a market move does not change."""

    def __init__(self) -> None:
        self.policy = xm.read_policy()
        self.market = policy_market(self.policy, xm.sample_market())
        self.store, self.baskets = ScenarioStore(), BasketStore()
        table = sample_tables()["securities"]
        parsed = parse(table, SECURITIES, file="", log=ExceptionLog()).table
        self.securities = read_securities(
            parsed, curve=self.market.curve, file="", log=ExceptionLog()
        )
        self.contracts = canonical_order(next_contracts(self.market.as_of, generator.FUTURES))

    def move(self, number: int) -> PreparedModels:
        """Return the models after the curve has moved by so many thousandths."""
        curve = Curve(self.market.as_of, self.market.curve.log_df * (1.0 + number / 1000.0))
        moved = self.market.with_curve(curve)
        held = np.arange(self.securities.cusip.size)
        dates = self.market.as_of + np.arange(1, generator.CASH - held.size + 1)
        universe = build_universe(
            securities=self.securities,
            held=held,
            cash_dates=dates,
            contracts=self.contracts,
            market=moved,
            baskets=self.baskets,
        )
        return prepare_models(self.policy, moved, universe, self.securities, store=self.store)


def next_contracts(as_of: np.datetime64, count: int) -> set[Contract]:
    """Return the next contracts of all roots, by delivery month."""
    found = []
    for ahead in range(1, MONTHS_AHEAD):
        for root in roots():
            try:
                found.append(
                    Contract(root, as_of.astype("datetime64[M]") + np.timedelta64(ahead, "M"))
                )
            except ValueError:  # Not every root is listed in every month.
                continue
    return set(found[:count])


def measure(rounds: int = 5) -> dict[str, float]:
    """Time moves, each with the margin of the whole tier L book after it; the best, seconds."""
    desk = Desk()
    book = generator.make_book(generator.TIERS["L"], segments=len(SEGMENTS))
    accounts = book.rows // len(SEGMENTS)
    clients = Clients(
        eligible=np.ones(accounts, dtype=bool),
        complete=np.ones(accounts, dtype=bool),
        multiplier=np.ones(accounts),
        floor=np.zeros(accounts),
        minimum=np.zeros(accounts),
        group_account=np.arange(accounts),
    )
    desk.move(0)
    times = []
    for turn in range(1, rounds + 1):
        begin = time.perf_counter()
        models = desk.move(turn)
        moved = time.perf_counter()
        # New cubes have no screens yet; making them is part of the margin's time.
        margins = margin_accounts(book, {}, models, Execution())
        agreement = agree_offsets(book, models, margins, clients, Execution())
        require_accounts(margins, agreement, clients)
        times.append((moved - begin, time.perf_counter() - moved))
    cube_seconds, margin_seconds = np.array(times).T
    return {
        "instruments": float(models.universe.name.size),
        "accounts": float(accounts),
        "cubes": float(cube_seconds.min()),
        "margin": float(margin_seconds.min()),
        "both": float((cube_seconds + margin_seconds).min()),
    }
