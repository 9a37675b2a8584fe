"""What an account would have made or lost in named episodes.

Their dates are data, of our choice, in episodes.toml beside this module.
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from crossmargin.analysis.explained.asked import CASH_LEG, FUTURES_LEG, Asked
from crossmargin.analysis.explained.subset import Subset
from crossmargin.arrays import Float
from crossmargin.engine import revalue
from crossmargin.instruments.universe import FUTURE

BOTH = "both"
LEGS = (CASH_LEG, FUTURES_LEG, BOTH)
WHOLE, PARTLY, NOT = "whole", "part", "none"


@dataclass(frozen=True)
class Episode:
    """A dated episode: its days, both included, and what it is remembered for."""

    name: str
    first: datetime.date
    last: datetime.date
    source: str


@dataclass(frozen=True)
class EpisodeLoss:
    """The worst move of one leg of an account within an episode.

    Attributes
    ----------
    episode : Episode
    horizon : int
        Business days of a move.
    leg : str
        `cash`, `futures` or `both`; a leg without positions has no row.
    covered : str
        How far the history covers the episode: `whole`, `part` or `none`.
    date : date, optional
        The end of the worst move.
    pnl : float, optional
        USD; a loss is negative. None where the history has no move, or an instrument no price.
    """

    episode: Episode
    horizon: int
    leg: str
    covered: str
    date: datetime.date | None
    pnl: float | None


@cache
def episodes() -> tuple[Episode, ...]:
    """Return the episodes, in the order of their dates."""
    text = Path(__file__).with_name("episodes.toml").read_text("utf-8")
    return tuple(Episode(**one) for one in tomllib.loads(text)["episode"])


def episode_losses(
    asked: Asked, priced: Subset, horizons: Sequence[int], named: Sequence[Episode] | None = None
) -> list[EpisodeLoss]:
    """Return the worst moves of an account's positions, as they are today, in each episode.

    Parameters
    ----------
    asked : Asked
    priced : Subset
        The account's instruments.
    horizons : sequence of int
        Business days of a move; a move belongs to the episode in which it ends.
    named : sequence of Episode, optional
        Those of episodes.toml if not given.

    Returns
    -------
    list of EpisodeLoss

    Notes
    -----
    Full revaluation of the moves as they were, unscaled, whatever the models do. Of equal moves the
    first counts.
    """
    history = asked.stages.models.market.history
    at = np.searchsorted(priced.kept, asked.lines.instrument)
    net = np.bincount(at, asked.lines.lots, priced.kept.size).astype(np.float64)
    future = priced.universe.kind == FUTURE
    legs = {CASH_LEG: ~future, FUTURES_LEG: future, BOTH: np.ones(future.size, dtype=bool)}
    change = {horizon: history.factor_change(horizon)[0] for horizon in horizons}
    found = []
    for episode in episodes() if named is None else named:
        first, last = np.datetime64(episode.first, "D"), np.datetime64(episode.last, "D")
        for horizon in horizons:
            date = history.date[horizon:]
            mine = np.flatnonzero((date >= first) & (date <= last))
            covered = NOT
            if mine.size:
                # A day or two without a row at either end is a weekend or a holiday.
                whole = date[0] <= first and history.date[-1] >= last
                covered = WHOLE if whole else PARTLY
            pnl = None
            if mine.size:
                shock = change[horizon][mine]
                pnl = revalue(priced.universe.terms, shock, **asked.execution.kernels)
            for leg, members in legs.items():
                held = np.flatnonzero(members & (net != 0.0))
                if not held.size:
                    continue
                day, worst = None, None
                if pnl is not None and priced.universe.priced[held].all():
                    total = _sum(pnl[held], net[held])
                    number = int(np.argmin(total))
                    day, worst = date[mine[number]].astype(object), float(total[number])
                found.append(EpisodeLoss(episode, horizon, leg, covered, day, worst))
    return found


def _sum(pnl: Float, lots: Float) -> Float:
    """Return the P&L of positions, in the order of instruments, [S]."""
    total = np.zeros(pnl.shape[1])
    for each, quantity in zip(pnl, lots.tolist(), strict=True):
        total += quantity * each
    return total
