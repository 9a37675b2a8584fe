"""Reverse stress: the mildest moves that use up an account's requirement.

Methodology, "Reverse stress".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from html import escape
from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin import columns, exact
from crossmargin.arrays import Float, Integer
from crossmargin.calculation.result import RunResult, Stages, stages_of
from crossmargin.conventions import FICC, SEGMENTS
from crossmargin.engine import Execution, revalue
from crossmargin.exceptions import InputError
from crossmargin.instruments.terms import Terms
from crossmargin.margin.ficc.var import ficc_scenarios
from crossmargin.market.components import Components, principal_components, whitened
from crossmargin.market.curve import NODE_NAMES
from crossmargin.market.scenarios import Scenarios
from crossmargin.results.schemas.stress import STRESS_COMPONENTS, STRESS_MOVES, STRESS_SCENARIOS
from crossmargin.results.table import Table

COMPONENTS = 3
LIMIT = 20.0
"""Standard deviations; a longer move is not looked for."""
LARGEST_MULTIPLE = 10.0
"""Of a historical scenario, by itself or in a mixture."""
RING = 0.25
"""Standard deviations, or multiples, between the lengths at which losses are first looked at."""
PARTS, ROUNDS = 32, 6
"""A ring is cut into so many parts, so many times: lengths are found to 2^-32."""
SIDE = 6
"""Directions are the points of a cube's surface with whole coordinates up to this: 866."""
TURNS = 16
"""Times that the turn is halved in refining the direction: from 1/12 to 1/400,000."""
FEW = 3
"""Most scenarios in a mixture."""
TOLD = ("2", "5", "10", "30")
"""Nodes at which a move is told in basis points."""
SIDES = ("ficc", "cme", "other_ccps")
MILDEST, ONE_SCENARIO, MIXTURE = "mildest", "one scenario", "mixture"


@dataclass(frozen=True)
class ReverseStress:
    """The mildest moves that use up an account's requirement.

    Attributes
    ----------
    account : str
    requirement : Decimal, optional
        What the moves lose; None if it is unknown.
    horizon : int
        Business days of the moves.
    reason : str, optional
        Why no move is looked for.
    moves : Table
        The mildest move of the first components together, of each by itself in both directions,
        the smallest multiple of one scenario, and the mildest mixture of a few.
    scenarios : Table
        Those of the last two, with their weights.
    components : Table
        One standard deviation of each component.
    manifest : dict
        That of the run.
    """

    account: str
    requirement: Decimal | None
    horizon: int
    reason: str | None
    moves: Table
    scenarios: Table
    components: Table
    manifest: dict[str, Any]

    def __repr__(self) -> str:
        """Return the account and the mildest move as text."""
        length = self.moves["standard_deviations"][0].as_py()
        if length is None:
            return f"<ReverseStress {self.account}: {self.reason or 'no move found'}>"
        return (
            f"<ReverseStress {self.account}: {length:.2f} standard deviations lose "
            f"{self.requirement:,} USD>"
        )

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.moves._repr_html_()}"


def reverse_stress(run: RunResult, account: str, *, threads: int | None = None) -> ReverseStress:
    """Return the mildest moves of the market that use up an account's requirement.

    Parameters
    ----------
    run : RunResult
        With its stages.
    account : str
    threads : int, optional
        Default: as many as the process may use. The result does not depend on it.

    Returns
    -------
    ReverseStress

    Raises
    ------
    TypeError
        An argument is of another kind.
    ValueError
        The run has no stages.
    InputError
        The run has no such account.
    """
    if not isinstance(run, RunResult):
        raise TypeError(f"run: a run, from xm.run(...), expected, got {run!r:.60}")
    if not isinstance(account, str):
        raise TypeError(f"account: a name expected, got {account!r:.60}")
    stages = stages_of(run)
    names = columns.texts(stages.parsed.accounts["account"]).tolist()
    if account not in names:
        raise InputError(f"account {account!r} is not in the run")
    number = names.index(account)
    required = stages.requirements.requirement
    cents = int(required.cents[number]) if required.known[number] else None
    models, policy = stages.models, stages.models.policy
    scenarios = ficc_scenarios(
        models.market, policy.ficc, policy.scenarios_of(FICC), stages.kept.scenarios
    )
    curve = scenarios.shock[:, : models.universe.curve_factors]
    components = principal_components(curve, COMPONENTS)
    held, reason = _held(stages, number, cents, Execution(threads))
    if held is not None and components.move.shape[0] == 0:
        held, reason = None, "the curves of the history do not move"
    if held is None:
        found = [_Found(MILDEST, reason)]
    else:
        found = [
            *_component_moves(held, components, scenarios.shock.shape[1]),
            *_historical_moves(held, scenarios),
        ]
    return ReverseStress(
        account=account,
        requirement=None if cents is None else Decimal(cents).scaleb(-2),
        horizon=policy.ficc.horizon,
        reason=reason,
        moves=Table(_move_table(found)),
        scenarios=Table(_scenario_table(found, scenarios)),
        components=Table(_component_table(components)),
        manifest=run.manifest,
    )


@dataclass(frozen=True)
class _Held:
    """What an account holds, and what it has to lose.

    Attributes
    ----------
    terms : Terms
        Its instruments, [N].
    lots : ndarray of float64, [3 x N]
        At each of `SIDES`.
    need : float
        The requirement, USD.
    execution : Execution
    """

    terms: Terms
    lots: Float
    need: float
    execution: Execution

    def losses(self, shock: Float) -> Float:
        """Return the losses at each of `SIDES` under moves [M x K], [3 x M]: a full revaluation."""
        pnl = revalue(self.terms, shock, **self.execution.kernels)
        return np.array([0.0 - exact.ordered_sum(own[:, None] * pnl, axis=0) for own in self.lots])

    def loss(self, shock: Float) -> Float:
        """Return the losses at all clearing houses together, [M]."""
        return np.asarray(exact.ordered_sum(self.losses(shock), axis=0))


@dataclass(frozen=True)
class _Found:
    """A move that was looked for.

    Attributes
    ----------
    name : str
    reason : str, optional
        Why there is none.
    shock : ndarray of float64, [K]
    length : float
        Standard deviations.
    multiple : float, optional
        Of a scenario or a mixture.
    losses : ndarray of float64, [3]
    scenario, weight : ndarray, [N]
        What a historical move is made of.
    """

    name: str
    reason: str | None = None
    shock: Float | None = None
    length: float = 0.0
    multiple: float | None = None
    losses: Float | None = None
    scenario: Integer = field(default_factory=lambda: np.empty(0, np.int64))
    weight: Float = field(default_factory=lambda: np.empty(0))


def _held(
    stages: Stages, account: int, cents: int | None, execution: Execution
) -> tuple[_Held | None, str | None]:
    """Return what an account holds; None with the reason if no move can be looked for."""
    if cents is None:
        return None, "its requirement is unknown"
    if cents == 0:
        return None, "it has nothing to pay"
    lines, universe = stages.netted.lines, stages.models.universe
    mine = stages.classified.assignment.group_account[lines.group] == account
    instrument, place = np.unique(lines.instrument[mine], return_inverse=True)
    segment = lines.segment[mine]
    side = np.where(segment < len(SEGMENTS), segment % 2, 2)
    lots = np.zeros((len(SIDES), instrument.size), np.int64)
    np.add.at(lots, (side, place), lines.lots[mine])
    unpriced = universe.name[instrument[~universe.priced[instrument]]]
    if unpriced.size:
        return None, f"no curve prices {', '.join(unpriced.tolist())}"
    return _Held(
        universe.terms.of_instruments(instrument), lots.astype(np.float64), cents / 100, execution
    ), None


def _component_moves(held: _Held, components: Components, factors: int) -> list[_Found]:
    """Return the mildest move of the components together, then of each in both directions."""
    count, width = components.move.shape

    def moves(coordinate: Float) -> Float:
        """Return moves of all factors from coordinates in standard deviations, [N x K]."""
        out = np.zeros((coordinate.shape[0], factors))
        for k in range(count):
            out[:, :width] += coordinate[:, k, None] * components.move[k]
        return out

    none = f"no move of up to {LIMIT:g} standard deviations loses so much"
    direction = _directions(count)
    length = first_lengths(held.loss, moves(direction), held.need, LIMIT, nearest=True)
    mildest = _Found(MILDEST, f"{none}, in {direction.shape[0]:,} directions")
    if not np.isnan(length).all():
        best = int(np.nanargmin(length))
        at, turned = refined(
            lambda coordinate: held.loss(moves(coordinate)),
            direction[best],
            float(length[best]),
            held.need,
        )
        shock = moves(turned[None] * at)
        mildest = _Found(MILDEST, None, shock[0], at, None, held.losses(shock)[:, 0])
    found = [mildest]
    axis = np.repeat(np.eye(count), 2, axis=0) * np.tile([1.0, -1.0], count)[:, None]
    length = first_lengths(held.loss, moves(axis), held.need, LIMIT)
    for number, at in enumerate(length.tolist()):
        name = f"component {number // 2 + 1} {('up', 'down')[number % 2]}"
        if np.isnan(at):
            found.append(_Found(name, none))
            continue
        shock = moves(axis[number : number + 1] * at)
        found.append(_Found(name, None, shock[0], at, None, held.losses(shock)[:, 0]))
    return found


def _directions(count: int) -> Float:
    """Return directions of length one: points of a cube's surface, in ascending order, [N x C]."""
    point = np.indices((2 * SIDE + 1,) * count).reshape(count, -1).T - SIDE
    surface = point[np.abs(point).max(axis=1) == SIDE].astype(np.float64)
    return _of_length_one(surface)


def _of_length_one(vector: Float) -> Float:
    return np.asarray(vector / np.sqrt(exact.ordered_sum(vector * vector, axis=1))[:, None])


def first_lengths(
    loss: Callable[[Float], Float],
    move: Float,
    need: float,
    limit: float,
    *,
    nearest: bool = False,
) -> Float:
    """Return the first multiple of each move that loses at least `need`, [N]; NaN without one.

    Parameters
    ----------
    loss : callable
        The losses under moves [M x K], [M].
    move : ndarray of float64, [N x K]
    need : float
        USD, above zero.
    limit : float
        The largest multiple.
    nearest : bool
        Whether only those moves count that lose so much within the first ring in which any does.

    Notes
    -----
    Losses are first looked at on rings, 0.25 apart. The ring before the first loss is then cut
    into 32 parts, six times. A loss between two rings that is gone on the next one is missed.
    """
    length = np.full(move.shape[0], np.nan)
    waiting = np.arange(move.shape[0])
    for ring in range(1, int(limit / RING) + 1):
        hit = loss(move[waiting] * (ring * RING)) >= need
        length[waiting[hit]] = ring * RING
        waiting = waiting[~hit]
        if waiting.size == 0 or (nearest and hit.any()):
            break
    at = np.flatnonzero(~np.isnan(length))
    if at.size:
        length[at] = _cut(loss, move[at], length[at] - RING, length[at], need)
    return length


def _cut(
    loss: Callable[[Float], Float], move: Float, low: Float, high: Float, need: float
) -> Float:
    """Return the first multiples between `low` and `high` that lose `need`; those at `high` do."""
    count, factors = move.shape
    for _ in range(ROUNDS):
        part = (high - low) / PARTS
        multiple = low[:, None] + part[:, None] * np.arange(1, PARTS + 1)
        multiple[:, -1] = high
        moves = (multiple[:, :, None] * move[:, None]).reshape(-1, factors)
        lost = loss(moves).reshape(count, PARTS) >= need
        first = np.where(lost.any(axis=1), lost.argmax(axis=1), PARTS - 1)
        row = np.arange(count)
        low = np.where(first > 0, multiple[row, first - 1], low)
        high = multiple[row, first]
    return high


def refined(
    loss: Callable[[Float], Float], direction: Float, length: float, need: float
) -> tuple[float, Float]:
    """Return a length no longer than the one given, and its direction: a pattern search.

    Parameters
    ----------
    loss : callable
        The losses at coordinates [M x C], [M].
    direction : ndarray of float64, [C]
        Of length one; `length` of it loses `need`.
    length, need : float

    Notes
    -----
    Of the directions around, one turn away, the one that loses most at the same length is taken
    while it loses more. Then the length is cut to what still loses `need`, and the turn is halved.
    """
    around = np.indices((3,) * direction.size).reshape(direction.size, -1).T - 1.0
    around = around[np.abs(around).max(axis=1) > 0.0]
    most = float(loss(direction[None] * length)[0])
    turn = 0.5 / SIDE
    for _ in range(TURNS):
        while True:
            near = _of_length_one(direction + turn * around)
            lost = loss(near * length)
            best = int(lost.argmax())
            if not lost[best] > most:
                break
            direction, most = near[best], float(lost[best])
        ends = np.array([0.0]), np.array([length])
        length = float(_cut(loss, direction[None], *ends, need)[0])
        most = float(loss(direction[None] * length)[0])
        turn /= 2.0
    return length, direction


def _historical_moves(held: _Held, scenarios: Scenarios) -> list[_Found]:
    """Return the smallest multiple of one scenario, and the mildest mixture of a few."""
    shock, free = scenarios.shock, whitened(scenarios.shock)
    none = f"no scenario up to {LARGEST_MULTIPLE:g} times loses so much"

    def found(name: str, scenario: Integer, weight: Float, multiple: float) -> _Found:
        if np.isnan(multiple):
            return _Found(name, none)
        move = multiple * exact.ordered_sum(weight[:, None] * shock[scenario], axis=0)
        point = multiple * exact.ordered_sum(weight * free[:, scenario])
        length = float(np.sqrt(exact.ordered_sum(point * point)))
        losses = held.losses(move[None])[:, 0]
        return _Found(name, None, move, length, multiple, losses, scenario, weight)

    multiple = first_lengths(held.loss, shock, held.need, LARGEST_MULTIPLE, nearest=True)
    if np.isnan(multiple).all():
        single = _Found(ONE_SCENARIO, none)
    else:
        best = int(np.nanargmin(multiple))
        single = found(ONE_SCENARIO, np.array([best]), np.ones(1), float(multiple[best]))
    chosen, weight = mildest_mixture(free, held.loss(shock))
    if chosen.size == 0:
        return [single, _Found(MIXTURE, "no scenario loses anything")]
    mixed = exact.ordered_sum(weight[:, None] * shock[chosen], axis=0)
    limit = LARGEST_MULTIPLE / float(weight.max())
    [times] = first_lengths(held.loss, mixed[None], held.need, limit).tolist()
    return [single, found(MIXTURE, chosen, weight, times)]


def mildest_mixture(free: Float, loss: Float) -> tuple[Integer, Float]:
    """Return the scenarios of the mildest mixture, in the order found, and weights that sum to one.

    Parameters
    ----------
    free : ndarray of float64, [K x S]
        The scenarios in coordinates whose length is Mahalanobis', as `whitened` returns them.
    loss : ndarray of float64, [S]
        Of each scenario.

    Returns
    -------
    scenario : ndarray of int64, [N]
        At most three; none if no scenario loses anything.
    weight : ndarray of float64, [N]
        Positive.

    Notes
    -----
    Of all mixtures that lose the same, losses taken as linear, the shortest. With m the scenarios'
    products and l their losses, weights are proportional to m^-1 l, and the squared length of a
    mixture that loses one is 1 / (l' m^-1 l). Scenarios are added one by one, each the best one
    beside those before it, as long as all weights are positive.
    """
    chosen = np.empty(0, np.int64)
    weight, gain = np.empty(0), 0.0
    candidate = np.flatnonzero(loss > 0.0)
    while candidate.size and chosen.size < FEW:
        size = chosen.size + 1
        members = np.empty((size, candidate.size), np.int64)
        members[:-1], members[-1] = chosen[:, None], candidate
        product = np.empty((size, size, candidate.size))
        for i in range(size):
            for j in range(i + 1):
                one, other = free[:, members[i]], free[:, members[j]]
                product[i, j] = product[j, i] = exact.ordered_sum(one * other, axis=0)
        own = loss[members]
        part = _solved(product, own)
        usable = (np.isfinite(part) & (part > 0.0)).all(axis=0)
        part = np.where(usable, part, 0.0)
        value = exact.ordered_sum(part * own, axis=0)
        best = int(value.argmax())
        if not value[best] > gain:
            break
        gain, chosen = float(value[best]), members[:, best]
        candidate = np.setdiff1d(candidate, chosen)
        weight = part[:, best] / exact.ordered_sum(part[:, best])
    return chosen, weight


def _solved(matrix: Float, right: Float) -> Float:
    """Solve N small systems by elimination, [n x n x N] and [n x N]; not finite if singular."""
    a, b = matrix.copy(), right.copy()
    size = b.shape[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        for k in range(size):
            for i in range(k + 1, size):
                factor = a[i, k] / a[k, k]
                a[i] = a[i] - factor * a[k]
                b[i] = b[i] - factor * b[k]
        for k in reversed(range(size)):
            for j in range(k + 1, size):
                b[k] = b[k] - a[k, j] * b[j]
            b[k] = b[k] / a[k, k]
    return b


def _basis_points(shock: Float) -> list[float]:
    """Return a move of the Treasury curve at `TOLD`, basis points."""
    return [1e4 * float(shock[NODE_NAMES.index(name)]) for name in TOLD]


def _move_table(found: Sequence[_Found]) -> pa.Table:
    def cells(value: Callable[[_Found], float | None]) -> pa.Array:
        given = [None if one.shock is None else value(one) for one in found]
        known = np.array([number is not None for number in given], dtype=bool)
        number = np.array([0.0 if one is None else one for one in given], np.float64)
        return columns.column(number, known)

    def told(place: int) -> Callable[[_Found], float | None]:
        return lambda one: None if one.shock is None else _basis_points(one.shock)[place]

    def lost(place: int) -> Callable[[_Found], float | None]:
        return lambda one: None if one.losses is None else float(one.losses[place])

    return STRESS_MOVES.table(
        {
            "move": columns.text_column([one.name for one in found]),
            "standard_deviations": cells(lambda one: one.length),
            "multiple": cells(lambda one: one.multiple),
            **{f"bp_{name}": cells(told(place)) for place, name in enumerate(TOLD)},
            "loss": cells(
                lambda one: None if one.losses is None else float(exact.ordered_sum(one.losses))
            ),
            **{f"loss_{name}": cells(lost(place)) for place, name in enumerate(SIDES)},
            "reason": columns.text_column([one.reason for one in found]),
        }
    )


def _scenario_table(found: Sequence[_Found], scenarios: Scenarios) -> pa.Table:
    parts = [(one, row) for one in found for row in range(one.scenario.size)]
    number = np.array([one.scenario[row] for one, row in parts], np.int64)
    weight = np.array([one.weight[row] for one, row in parts], np.float64)
    return STRESS_SCENARIOS.table(
        {
            "move": columns.text_column([one.name for one, _ in parts]),
            "date": columns.column(scenarios.date[number]),
            "tag": columns.text_column([text or None for text in scenarios.tag[number].tolist()]),
            "weight": columns.column(weight),
        }
    )


def _component_table(components: Components) -> pa.Table:
    told = np.array([_basis_points(move) for move in components.move]).reshape(-1, len(TOLD))
    return STRESS_COMPONENTS.table(
        {
            "component": columns.column(np.arange(1, components.share.size + 1)),
            "share": columns.column(components.share),
            **{f"bp_{name}": columns.column(told[:, place]) for place, name in enumerate(TOLD)},
        }
    )
