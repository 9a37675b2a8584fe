"""What bounds the calls of some accounts: their fixed P&L, and sets of bad scenarios."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Float, Int32, Integer, Mask
from crossmargin.calculation.moves import FIXED, Movable, book_after
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.conventions import CME, CME_OTHER, CME_XM, FICC, FICC_XM, SEGMENTS
from crossmargin.engine import Cube, Execution, Measure, segment_tails
from crossmargin.margin.model import Incremental
from crossmargin.margin.portfolios import row_of, rows_of
from crossmargin.optimise.bounds.forms import LOWEST, Boxes
from crossmargin.policies.sections import LOWER_OF_MODELS

SMALLEST = 1e-9
"""USD: what a VaR that divides is at least."""
FUTURES, COMBINED, OTHER = range(3)
"""The margin portfolios that a choice changes."""
_AT = {FICC: (FUTURES, COMBINED), CME: (FUTURES, COMBINED, OTHER)}
_SEGMENTS = {FUTURES: [CME_XM], COMBINED: [FICC_XM, CME_XM], OTHER: [CME_OTHER]}


@dataclass(frozen=True)
class Known:
    """What no choice changes, USD, [A].

    Attributes
    ----------
    apart : ndarray of float64
        What the account pays whatever it chooses: other positions, other clearing firms and
        houses, charges on its cash.
    v_ficc, v_cme : ndarray of float64
        V of the cross-margined cash in both models.
    """

    apart: Float
    v_ficc: Float
    v_cme: Float


@dataclass(frozen=True)
class House:
    """What bounds V at one clearing house, for A accounts and P portfolios.

    Attributes
    ----------
    model : Incremental
    portfolios : tuple of int
    fixed : list of Cube, [P * A x S]
        For each cube, the P&L of each portfolio apart from the lines: a row is portfolio * A +
        account.
    worst : list of list of ndarray of int32, [P * A x k]
        For each measure, the scenarios of its tail at some choices.
    floor : ndarray of float64, [P * A x B], optional
        The fixed part of the floor's sums.
    most : ndarray of float64, [A]
        What V of the cross-margined futures is at most, USD.
    pooled : ndarray of float64, [2 x A]
        What two V are at least together, USD: of the combined and the ordinary portfolio, and of
        the cross-margined futures and the ordinary portfolio.
    """

    model: Incremental
    portfolios: tuple[int, ...]
    fixed: list[Cube]
    worst: list[list[Int32]]
    floor: Float | None
    most: Float
    pooled: Float


@dataclass(frozen=True)
class Problem:
    """The accounts that are bounded together.

    Attributes
    ----------
    whole : Boxes
        All choices of each account, [A]; the anchor is the best one known.
    instrument : ndarray of int64, [A x D]
    inside : ndarray of bool, [A x D]
        Whether the account has so many lines.
    houses : dict of str to House
        Of the clearing houses whose V can be bounded.
    known : Known
        Of these accounts.
    cap : float
    by_models : bool
        Whether the saving is the lower of the models'; else only the cap is known.
    execution : Execution
    """

    whole: Boxes
    instrument: Integer
    inside: Mask
    houses: dict[str, House]
    known: Known
    cap: float
    by_models: bool
    execution: Execution


def problem(
    lines: Movable,
    models: PreparedModels,
    accounts: Integer,
    best: Integer,
    known: Known,
    execution: Execution,
) -> Problem:
    """Return what bounds the calls of some accounts.

    Parameters
    ----------
    lines : Movable
    models : PreparedModels
    accounts : ndarray of int64, [A]
    best : ndarray of int64, [M]
        The best choice known of every line.
    known : Known
        Of all accounts.
    execution : Execution
    """
    count = lines.count[accounts]
    inside = np.arange(int(count.max(initial=1))) < count[:, None]
    at = lines.lines_of(accounts)
    instrument, lower, upper, anchor = np.zeros((4, *inside.shape), dtype=np.int64)
    for padded, own in (
        (instrument, lines.instrument),
        (lower, lines.lower),
        (upper, lines.upper),
        (anchor, best),
    ):
        padded[inside] = own[at]
    whole = Boxes(np.arange(accounts.size), lower, upper, anchor)
    houses = {}
    for ccp in _AT:
        model = models.ccps[ccp].incremental
        if model is None or not model.mixtures:
            continue
        if all(measure.cube.on_grid for measure in model.measures):
            houses[ccp] = _house(lines, model, ccp, accounts, best, execution)
    rules = models.policy.agreement
    return Problem(
        whole=whole,
        instrument=instrument,
        inside=inside,
        houses=houses,
        known=Known(known.apart[accounts], known.v_ficc[accounts], known.v_cme[accounts]),
        cap=rules.cap,
        by_models=rules.offset_method == LOWER_OF_MODELS,
        execution=execution,
    )


def _house(
    lines: Movable,
    model: Incremental,
    ccp: str,
    accounts: Integer,
    best: Integer,
    execution: Execution,
) -> House:
    """Return what bounds V at one clearing house."""
    size, portfolios = accounts.size, _AT[ccp]
    cash, futures, ordinary = _fixed(lines, accounts)
    least, most = _range(lines, accounts)
    everything = ordinary + _scattered(lines, accounts, lines.total)
    # Futures are few beside the securities.
    own = np.flatnonzero((futures != 0).any(0) | (everything != 0).any(0) | (least < most).any(0))
    futures, everything, least, most = (part[:, own] for part in (futures, everything, least, most))
    held = np.flatnonzero((cash != 0).any(0))
    pnl, highest, pools = [], [], []
    for cube in cubes_of(model):
        of_futures = cube.pnl[own]
        in_cash = cash[:, held] @ cube.pnl[held]
        moved, rest = futures @ of_futures, everything @ of_futures
        of = {FUTURES: moved, COMBINED: in_cash + moved, OTHER: rest}
        pnl.append(Cube(np.concatenate([of[portfolio] for portfolio in portfolios])))
        pools.append((-(in_cash + moved + rest), -(moved + rest)))
        # The largest loss of each scenario on its own.
        highest.append(
            -(
                (futures + most) @ np.minimum(of_futures, 0.0)
                + (futures + least) @ np.maximum(of_futures, 0.0)
            )
        )
    vars_, both = [], []
    for measure in model.measures:
        at = cubes_of(model).index(measure.cube)
        window = slice(measure.start, measure.start + measure.count)
        vars_.append(ranked(highest[at][:, window], measure.k))
        if OTHER in portfolios:
            # At most k - 1 losses of each portfolio exceed its VaR. So at most 2 (k - 1) of their
            # sum exceed the sum of both VaRs.
            both.append([ranked(loss[:, window], 2 * measure.k - 1) for loss in pools[at]])
    above, pooled = np.zeros(size), np.zeros((2, size))
    for number, weights in enumerate(model.mixtures):
        above = np.maximum(above, sum(w * v for w, v in zip(weights, vars_, strict=True)))
        if OTHER in portfolios:
            least = np.zeros((2, size))
            for weight, ranks in zip(weights, both, strict=True):
                least += weight * np.array(ranks)
            pooled = np.maximum(pooled, least) if number else least
    floor = None
    if model.sums is not None:
        sums = model.sums
        values = np.zeros((sums.value.size, sums.rate.size))
        values[np.arange(sums.value.size), sums.bucket] = sums.value
        own_values = values[own]
        of = {FUTURES: futures @ own_values, OTHER: everything @ own_values}
        of[COMBINED] = of[FUTURES] + cash @ values
        floor = np.concatenate([of[portfolio] for portfolio in portfolios])
        biggest = np.maximum(np.abs(futures + most), np.abs(futures + least))
        above = np.maximum(above, biggest @ (np.abs(own_values) @ sums.rate))
    return House(
        model=model,
        portfolios=portfolios,
        fixed=pnl,
        worst=_worst(lines, model, portfolios, accounts, best, execution),
        floor=floor,
        most=above,
        pooled=pooled,
    )


def _fixed(lines: Movable, accounts: Integer) -> tuple[Float, Float, Float]:
    """Return what stays: cross-margined cash and futures, and the ordinary account, [A x I]."""
    book = lines.places.book
    place = np.full(lines.ptr.size - 1, -1)
    place[accounts] = np.arange(accounts.size)
    row = row_of(book)
    group, segment = row // len(SEGMENTS), row % len(SEGMENTS)
    own = np.flatnonzero((group < place.size) & (lines.line == FIXED))
    own = own[place[group[own]] >= 0]
    lots = np.zeros((len(SEGMENTS), accounts.size, book.columns))
    lots[segment[own], place[group[own]], book.column[own]] = lines.lots[own]
    return lots[FICC_XM], lots[CME_XM], lots[CME_OTHER]


def _scattered(lines: Movable, accounts: Integer, choice: Integer) -> Float:
    """Return a choice of every line as lots of each instrument, [A x I]."""
    at = lines.lines_of(accounts)
    lots = np.zeros((accounts.size, lines.places.book.columns))
    row = np.repeat(np.arange(accounts.size), lines.count[accounts])
    lots[row, lines.instrument[at]] = choice[at]
    return lots


def _range(lines: Movable, accounts: Integer) -> tuple[Float, Float]:
    """Return the fewest and the most lots of each instrument, [A x I]."""
    return _scattered(lines, accounts, lines.lower), _scattered(lines, accounts, lines.upper)


def ranked(loss: Float, rank: int) -> Float:
    """Return the loss of a rank in each row; LOWEST if there are fewer."""
    place = loss.shape[1] - rank
    if place < 0:
        return np.full(loss.shape[0], LOWEST)
    return np.asarray(np.partition(loss, place, axis=1)[:, place])


def cubes_of(model: Incremental) -> list[Cube]:
    """Return the model's cubes, each once."""
    return list({id(measure.cube): measure.cube for measure in model.measures}.values())


def _worst(
    lines: Movable,
    model: Incremental,
    portfolios: tuple[int, ...],
    accounts: Integer,
    best: Integer,
    execution: Execution,
) -> list[list[Int32]]:
    """Return for each measure two sets of k scenarios of every portfolio, [P * A x k].

    The first is the tail at the best choice. The second differs for the ordinary portfolio, where
    often nothing is left: the scenarios in which every step to it loses.
    """
    at = lines.lines_of(accounts)
    book = book_after(lines, accounts, best[at]).book
    tails = segment_tails(
        rows_of(book, np.arange(accounts.size * len(SEGMENTS))),
        list(model.measures),
        segments=len(SEGMENTS),
        unions=[_SEGMENTS[portfolio] for portfolio in portfolios],
        es=False,
        scenarios=True,
        **execution.kernels,
    )
    assert tails.scenario is not None
    found = []
    for measure, scenario in zip(model.measures, tails.scenario, strict=True):
        of_best = np.concatenate(list(scenario.transpose(1, 0, 2)))
        second = of_best
        if OTHER in portfolios:
            second = of_best.copy()
            first = portfolios.index(OTHER) * accounts.size
            second[first:] = _losing(lines, measure, accounts, best)
        found.append([of_best, second])
    return found


def _losing(lines: Movable, measure: Measure, accounts: Integer, best: Integer) -> Int32:
    """Return the scenarios in which every step to the ordinary account loses, [A x k].

    Each line's loss counts as a share of its VaR by itself; the scenarios are those whose smallest
    share is largest. A line that may step either way does not count.
    """
    at = lines.lines_of(accounts)
    count = lines.count[accounts]
    begin = np.cumsum(count) - count
    window = slice(measure.start, measure.start + measure.count)
    held, which = np.unique(lines.instrument[at], return_inverse=True)
    pnl = measure.pnl[held, window]
    # The shares of a contract bought, and of one sold.
    shares = [loss / np.maximum(ranked(loss, measure.k), SMALLEST)[:, None] for loss in (-pnl, pnl)]
    rises, falls = best[at] < lines.upper[at], best[at] > lines.lower[at]
    lowest = np.full((accounts.size, measure.count), np.inf)
    for place in range(int(count.max(initial=0))):
        has = np.flatnonzero(count > place)
        own = begin[has] + place
        for moves, share in zip((falls & ~rises, rises & ~falls), shares, strict=True):
            row, line = has[moves[own]], own[moves[own]]
            lowest[row] = np.minimum(lowest[row], share[which[line]])
    worst = np.argpartition(-lowest, measure.k - 1, axis=1)[:, : measure.k]
    return np.asarray(worst + measure.start, dtype=np.int32)
