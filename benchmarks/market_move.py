"""A market move: new cubes of both models from a new curve, and the whole book on them.

The universe is that of the headline book. Nothing is read again: securities, policy and book stay
in memory.
"""

from __future__ import annotations

import time

import generator
import numpy as np
from universe import Desk

from crossmargin.agreement.clients import Clients
from crossmargin.calculation.margins import agree_offsets, margin_accounts, require_accounts
from crossmargin.conventions import SEGMENTS
from crossmargin.engine import Execution


def measure(rounds: int = 5) -> dict[str, float]:
    """Time moves, each with the margin of the whole tier L book after it; the best, seconds."""
    desk = Desk()
    # The first move fills the stores.
    instruments = desk.instruments(desk.move(0).universe)
    tier = generator.TIERS["L"]
    book = generator.make_book(tier, instruments=instruments, segments=len(SEGMENTS))
    accounts = book.rows // len(SEGMENTS)
    clients = Clients(
        eligible=np.ones(accounts, dtype=bool),
        complete=np.ones(accounts, dtype=bool),
        multiplier=np.ones(accounts),
        floor=np.zeros(accounts),
        minimum=np.zeros(accounts),
        group_account=np.arange(accounts),
    )
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
