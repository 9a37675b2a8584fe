"""What another definition, look-back or horizon would give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.analysis.explained.asked import Asked
from crossmargin.analysis.explained.contributions import Decomposed, Tail, shortfall
from crossmargin.analysis.explained.subset import Subset
from crossmargin.arrays import Float
from crossmargin.conventions import V
from crossmargin.engine import tail_size
from crossmargin.margin.model import ModelInputs
from crossmargin.margin.portfolios import CcpMargin
from crossmargin.market.scenarios import CorrelationError, HistoryShortError

VAR_LEVELS = ("0.98", "0.99", "0.995")
ES_LEVELS = ("0.975", "0.99")
LOOK_BACKS = (500, 1000, 2500)
HORIZONS = (1, 2, 3, 5, 10)
DEFINITION, LOOK_BACK, HORIZON = "definition", "look-back", "horizon"


@dataclass(frozen=True)
class Alternative:
    """What one V or VaR would be under another definition.

    Attributes
    ----------
    ccp : str
    group : int
    portfolio : str
    component : str
        A VaR by its name, or `V`.
    kind : str
        `definition`, `look-back` or `horizon`.
    definition : str
        In words.
    in_use : bool
        Whether it is the model's own.
    amount : float, optional
        USD; None where it cannot be computed.
    """

    ccp: str
    group: int
    portfolio: str
    component: str
    kind: str
    definition: str
    in_use: bool
    amount: float | None


def alternatives(
    asked: Asked, decomposed: Sequence[Decomposed], priced: Subset
) -> list[Alternative]:
    """Return what other definitions, look-backs and horizons would give.

    Parameters
    ----------
    asked : Asked
    decomposed : sequence of Decomposed
        Every V of the account.
    priced : Subset
        The account's instruments, on which models are prepared again.

    Returns
    -------
    list of Alternative
        By V. A V that is unknown, and a tail of it, have none.
    """
    others = {h: _margins(asked, priced, h) for h in HORIZONS}
    found = []
    for one in decomposed:
        if not one.known:
            continue
        for component, tail in one.tails.items():
            for kind, text, in_use, amount in _of_tail(tail):
                found.append(
                    Alternative(one.ccp, one.group, one.name, component, kind, text, in_use, amount)
                )
        own = next((part.horizon for part, _ in one.parts if part.horizon is not None), None)
        for horizon, margins in others.items():
            margin = margins.get(one.ccp)
            amount = None if margin is None else float(margin.v[one.group, one.portfolio])
            text = f"moves over {horizon} day{'s' * (horizon > 1)}"
            found.append(
                Alternative(one.ccp, one.group, one.name, V, HORIZON, text, horizon == own, amount)
            )
    return found


def _of_tail(tail: Tail) -> Iterator[tuple[str, str, bool, float | None]]:
    """Yield other levels, definitions and look-backs of one VaR."""
    measure, losses = tail.measure, tail.losses
    for text in VAR_LEVELS:
        level = float(text)
        _, k = tail_size(level, measure.count)
        yield DEFINITION, f"VaR {100 * level:g}%", level == measure.level, float(losses[k - 1])
    for text in ES_LEVELS:
        w, k = tail_size(float(text), measure.count)
        yield DEFINITION, f"ES {100 * float(text):g}%", False, shortfall(losses, w, k)
    yield (
        DEFINITION,
        f"VaR {100 * measure.level:g}%, interpolated",
        False,
        interpolated(losses, measure.level),
    )
    for rows in LOOK_BACKS:
        amount = None
        if rows <= measure.count:
            latest = np.sort(0.0 - tail.pnl[-rows:])[::-1]
            _, k = tail_size(measure.level, rows)
            amount = float(latest[k - 1])
        text = f"the last {rows:,} scenarios"
        yield LOOK_BACK, text, rows == measure.count, amount


def interpolated(losses: Float, level: float) -> float:
    """Return the quantile that is linear between order statistics, at rank 1 + (S - 1) * level.

    Parameters
    ----------
    losses : ndarray of float64, [S]
        Largest first.
    level : float

    Examples
    --------
    >>> interpolated(np.array([4.0, 3.0, 2.0, 1.0]), 0.5)
    2.5
    """
    at = (losses.size - 1) * (1.0 - level)
    first = min(int(at), losses.size - 1)
    second = min(first + 1, losses.size - 1)
    return float(losses[first] + (at - first) * (losses[second] - losses[first]))


def _margins(asked: Asked, priced: Subset, horizon: int) -> dict[str, CcpMargin]:
    """Return the margin at each clearing house for moves over another horizon, where there is one.

    The user's own P&L has one horizon, and a history may be too short for a longer one.
    """
    stages = asked.stages
    found = {}
    for one in priced.ccps:
        if one.ccp in stages.parsed.cubes:
            continue
        inputs = ModelInputs(
            universe=priced.universe,
            held=priced.held,
            market=stages.models.market,
            scenarios=stages.models.policy.scenarios_of(one.ccp),
            eligible=stages.models.eligible[priced.kept],
            store=stages.kept.scenarios,
            span_file=stages.parsed.span_file,
            volumes=stages.parsed.volumes,
            outrights=stages.models.ccps[one.ccp].outrights,
        )
        try:
            model = one.model.at_horizon(horizon).prepare(inputs, asked.execution)
        except (HistoryShortError, CorrelationError):
            continue
        book = asked.batch.elsewhere.get(one.ccp, asked.batch.book)
        found[one.ccp] = model.margin(priced.book(book), asked.execution)
    return found
