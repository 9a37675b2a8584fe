"""What each line of an account adds to a margin V.

V is homogeneous of degree one in the positions. By Euler's theorem it is the sum of each position
times V's derivative by it. A VaR's derivative is that of its tail scenario.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin import exact
from crossmargin.analysis.explained.asked import Asked
from crossmargin.arrays import Float, Integer
from crossmargin.conventions import SEGMENTS, UNIONS
from crossmargin.engine import Measure
from crossmargin.margin.parts import Part
from crossmargin.margin.portfolios import CcpMargin

NEIGHBOURS = 4
"""The smoothed VaR looks at the k / 4 order statistics, rounded up, on either side of the k-th."""


@dataclass(frozen=True)
class Tail:
    """The P&L of one margin portfolio in the scenarios of a measure, [S].

    Attributes
    ----------
    part : Part
        Whose VaR it is.
    pnl : ndarray of float64, [S]
        USD.
    order : ndarray of int64, [S]
        The scenarios, worst first; the lower number first on a tie.
    """

    part: Part
    pnl: Float
    order: Integer

    @property
    def measure(self) -> Measure:
        """Level and scenarios."""
        assert self.part.measure is not None
        return self.part.measure

    @property
    def losses(self) -> Float:
        """All losses, largest first, [S]."""
        return 0.0 - self.pnl[self.order]

    @property
    def var(self) -> float:
        """The k-th largest loss."""
        return float(self.losses[self.measure.k - 1])

    @property
    def es(self) -> float:
        """The expected shortfall at the same level."""
        return shortfall(self.losses, self.measure.w, self.measure.k)

    @property
    def scenario(self) -> list[str]:
        """Names of the scenarios, [S]; their numbers in the cube, if they have no names."""
        measure = self.measure
        number = measure.cube_scenario(np.arange(measure.count, dtype=np.int32))
        names = measure.cube.scenario
        return [str(n) for n in (number if names is None else names[number]).tolist()]

    def smoothing(self) -> tuple[Integer, Float]:
        """Return scenarios around the k-th largest loss, and weights with which VaR is their mean.

        Triangular weights on the ranks k - m to k + m, m = ceil(k / 4), or fewer at either end;
        then scaled so that the weighted sum of losses is VaR. The k-th alone where VaR, or the
        weighted sum, is not positive.
        """
        k, count = self.measure.k, self.measure.count
        near = min(-(-k // NEIGHBOURS), k - 1, count - k)
        rank = np.arange(k - near, k + near + 1)
        weight = (near + 1.0) - np.abs(rank - k)
        total = float(exact.ordered_sum(weight * self.losses[rank - 1]))
        if not (total > 0.0 and self.var > 0.0):
            return self.order[k - 1 : k], np.ones(1)
        return self.order[rank - 1], weight * (self.var / total)


def shortfall(losses: Float, w: float, k: int) -> float:
    """Return the mean of the w largest losses, largest first, at least the k-th (VaR)."""
    total = float(exact.ordered_sum(losses[: k - 1])) if k > 1 else 0.0
    return max((total + float(losses[k - 1]) * (w - (k - 1))) / w, float(losses[k - 1]))


@dataclass(frozen=True)
class Decomposed:
    """One V, and what each line of its margin portfolio adds to it.

    Attributes
    ----------
    ccp : str
    group, portfolio : int
    name : str
        Of the margin portfolio.
    v : float
        USD; meaningless if not `known`.
    known : bool
    line : ndarray of int64, [N]
        Numbers of the account's lines that the portfolio holds.
    parts : tuple of (Part, weight)
    tails : dict of str to Tail
        Of the parts that are VaRs, by component.
    gradient : ndarray of float64, [I]
        USD that a lot of each instrument adds.
    amount, smoothed : ndarray of float64, [N]
        Contributions of the lines; VaR's by its tail scenario, and by neighbouring ones.
    shortfall : ndarray of float64, [N], optional
        Contributions to the expected shortfall of the deciding VaRs; None if none decides.
    es : float
        That expected shortfall, each VaR's times its weight.
    rest : float
        What is not decomposed.
    """

    ccp: str
    group: int
    portfolio: int
    name: str
    v: float
    known: bool
    line: Integer
    parts: tuple[tuple[Part, float], ...]
    tails: dict[str, Tail]
    gradient: Float
    amount: Float
    smoothed: Float
    shortfall: Float | None
    es: float
    rest: float


def decompose(asked: Asked) -> list[Decomposed]:
    """Return every V of an account, for the margin portfolios that hold positions.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    list of Decomposed
        In the order of the components table.
    """
    models, batch = asked.stages.models, asked.batch
    further = asked.margins.elsewhere
    margins = (asked.margins.ficc, asked.margins.cme, *further)
    places = {margin.ccp: [[len(SEGMENTS) + n]] for n, margin in enumerate(further)}
    found = []
    for margin in margins:
        book = batch.elsewhere.get(margin.ccp, batch.book)
        parts = models.ccps[margin.ccp].parts(book, asked.execution)
        unions = places.get(margin.ccp) or UNIONS[margin.ccp]
        for group, portfolio in np.argwhere(asked.margins.occupied[margin.ccp]).tolist():
            mine = (asked.lines.group == group) & np.isin(asked.lines.place, unions[portfolio])
            found.append(_decomposed(asked, margin, parts, group, portfolio, np.flatnonzero(mine)))
    return found


def _decomposed(
    asked: Asked,
    margin: CcpMargin,
    parts: Sequence[Part],
    group: int,
    portfolio: int,
    line: Integer,
) -> Decomposed:
    """Return one V and the contributions of its lines."""
    instrument, lots = asked.lines.instrument[line], asked.lines.lots[line]
    size = asked.stages.models.universe.name.size
    gradient, smoothed, average = np.zeros(size), np.zeros(size), np.zeros(size)
    tails: dict[str, Tail] = {}
    es, undecomposed = 0.0, False
    weighted: list[tuple[Part, float]] = []
    for part in parts:
        weight = float(part.weight[group, portfolio])
        tail = None if part.measure is None else tail_of(part, instrument, lots)
        if tail is not None and part.component in tails:
            # Of several periods of stress the first with the largest VaR is the component.
            if tail.var <= tails[part.component].var:
                continue
            weighted = [(one, share) for one, share in weighted if one.component != part.component]
        weighted.append((part, weight))
        if tail is not None:
            tails[part.component] = tail
    for part, weight in weighted:
        if part.measure is not None:
            tail = tails[part.component]
            if weight == 0.0:
                continue
            pnl, k = _columns(part.measure), part.measure.k
            near, share = tail.smoothing()
            worst = tail.order[:k]
            gradient -= weight * pnl[:, worst[-1]]
            smoothed -= weight * exact.ordered_sum(pnl[:, near] * share)
            shares = part.measure.weight / part.measure.w
            average -= weight * exact.ordered_sum(pnl[:, worst] * shares)
            es += weight * tail.es
        elif part.per_lot is not None:
            gradient += weight * part.per_lot[group, portfolio]
            smoothed += weight * part.per_lot[group, portfolio]
        else:
            undecomposed |= weight != 0.0
    amount = lots * gradient[instrument]
    v, known = float(margin.v[group, portfolio]), not margin.unknown[group, portfolio]
    decided = any(weight != 0.0 and part.measure is not None for part, weight in weighted)
    return Decomposed(
        ccp=margin.ccp,
        group=group,
        portfolio=portfolio,
        name=margin.portfolios[portfolio],
        v=v,
        known=known,
        line=line,
        parts=tuple(weighted),
        tails=tails,
        gradient=gradient,
        amount=amount,
        smoothed=lots * smoothed[instrument],
        shortfall=lots * average[instrument] if decided else None,
        es=es,
        rest=v - float(exact.ordered_sum(amount)) if undecomposed else 0.0,
    )


def tail_of(part: Part, instrument: Integer, lots: Float) -> Tail:
    """Return the P&L of some positions in a part's scenarios, summed in book order."""
    assert part.measure is not None
    held, at = np.unique(instrument, return_inverse=True)
    net = np.bincount(at, lots, held.size)
    pnl = np.zeros(part.measure.count)
    each = _columns(part.measure)
    for number, quantity in zip(held.tolist(), net.tolist(), strict=True):
        pnl += quantity * each[number]
    return Tail(part, pnl, np.argsort(pnl, kind="stable"))


def _columns(measure: Measure) -> Float:
    """Return the P&L of each instrument in the scenarios that a measure uses, [I x S]."""
    return measure.pnl[:, measure.start : measure.start + measure.count]
