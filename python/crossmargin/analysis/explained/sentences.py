"""An explanation in plain sentences, to be read out over the telephone."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from crossmargin.agreement.requirement import Amount
from crossmargin.agreement.savings import Saving
from crossmargin.analysis.explained.alternatives import HORIZON, Alternative
from crossmargin.analysis.explained.asked import Asked, Described
from crossmargin.analysis.explained.contributions import Decomposed
from crossmargin.analysis.explained.episodes import BOTH, NOT, PARTLY, EpisodeLoss
from crossmargin.analysis.explained.requirement import OWN, Contributions
from crossmargin.analysis.explained.tables import Errors, margins_of, rates_of, tag_of
from crossmargin.book.accounts import members_of, omnibus_of
from crossmargin.calculation.margins import caveats_of
from crossmargin.conventions import (
    CASH,
    COMBINED,
    CREDIT,
    DELIVERY,
    FICC,
    FLOOR,
    FUTURES,
    HAIRCUT,
    HVAR,
    INTRA,
    MMA,
    OTHER,
    SCAN,
    SVAR,
    VAR,
)
from crossmargin.market.scenarios import STRESS

WORDS = {
    VAR: "VaR",
    FLOOR: "floor on net market value",
    MMA: "minimum margin amount",
    HAIRCUT: "haircut amount",
    HVAR: "historical VaR",
    SVAR: "stressed VaR",
    SCAN: "scan risk",
    INTRA: "charge for spreads between months",
    DELIVERY: "delivery charge",
    CREDIT: "spread credit",
}
"""Components as they are called in speech."""
PORTFOLIO_WORDS = {
    CASH: "cross-margined cash",
    FUTURES: "cross-margined futures",
    COMBINED: "cross-margined cash and futures together",
    OTHER: "positions outside the cross-margin account",
}
REASONS = {
    "NOT_ELIGIBLE": "the account may not be cross-margined",
    "INCOMPLETE": "a cross-margined position has no price",
    "ONE_SIDED": "cash or futures in the cross-margin account have no margin to save",
    "NO_SAVING": "cash and futures do not offset each other",
    "BELOW_MINIMUM": "the saving is below the agreement's minimum",
}
PLACES = (
    "in the cross-margin account at FICC",
    "in the cross-margin account at CME",
    "in the ordinary account at FICC",
    "in the ordinary account at CME",
)
"""Where a position is margined, in the order of `SEGMENTS`; elsewhere it is `at` a ccp."""
MOST = 3
"""Positions that are named on either side."""
ROUNDING = 10
"""Cents by which the two savings may differ by the rounding of their components alone."""
SURE = 2
"""The largest V, of which it is said how precisely they are known; the others are in the tables."""


def sentences(
    asked: Asked,
    decomposed: Sequence[Decomposed],
    found: Contributions,
    described: Described,
    losses: Sequence[EpisodeLoss],
    others: Sequence[Alternative],
    errors: Errors,
    alone: Saving | None,
    *,
    synthetic: bool,
) -> tuple[str, ...]:
    """Return why an account pays what it pays, one thought a sentence.

    Parameters
    ----------
    asked, decomposed, found, described, losses, others, errors, alone
        What was computed.
    synthetic : bool
        Whether market and book are made up.

    Returns
    -------
    tuple of str
        Account names are as given; whoever prints them makes them safe.
    """
    head = ["All figures are of a synthetic market and book."] if synthetic else []
    if asked.lines.lots.size == 0:
        none = f"Account {asked.account} has no open positions and no margin to pay."
        return (*head, none, *_omnibus(asked), *_own_terms(asked), *_rejected(asked))
    paid = [(number, one) for number, one in enumerate(decomposed) if _is_paid(one)]
    told = [
        *head,
        *_requirement(asked),
        *_omnibus(asked),
        *_offset(asked, decomposed),
        *_alone(asked, alone),
    ]
    told += [*_savings(asked), *_unused(asked)]
    for _, one in paid:
        told += _v(asked, one)
    told += [*_caveats(asked), *_positions(asked, found, described)]
    told += _episodes(losses)
    for number, one in sorted(paid, key=lambda numbered: -numbered[1].v)[:SURE]:
        told += _how_sure(asked, number, one, others, errors)
    if any(one.tails for _, one in paid):
        told.append(
            "A VaR is the loss in one scenario, so what a position adds to it can jump from one "
            "day to the next."
        )
    return tuple(told)


def _is_paid(one: Decomposed) -> bool:
    """Return whether a V is part of what the account pays."""
    if one.ccp not in OWN:
        return True
    return one.portfolio == OTHER or (one.group == 0 and one.portfolio == OWN[one.ccp])


def _usd(amount: float) -> str:
    return f"{'minus ' if amount < 0.0 else ''}{abs(amount):,.0f} USD"


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, 11th, 21st."""
    teens = 10 <= number % 100 < 20
    ending = "th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def _cents(cents: int) -> str:
    """Return whole cents, zero or more, in words."""
    return f"{cents // 100:,}.{cents % 100:02d} USD"


def _due(amount: Amount) -> str:
    """Return whole cents in words."""
    if not amount.known[0]:
        return "an unknown amount"
    return f"{int(amount.cents[0]) / 100:,.2f} USD"


def _and(parts: Sequence[str]) -> str:
    """Return a list as it is spoken."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _requirement(asked: Asked) -> Iterator[str]:
    """Say what has to be paid, and where."""
    due = asked.required
    if not due.requirement.known[0]:
        yield (
            f"What account {asked.account} has to pay as of {asked.as_of} is not known: a position "
            "has no price in its clearing house's model."
        )
    else:
        yield f"Account {asked.account} has to pay {_due(due.requirement)} as of {asked.as_of}."
    places = (
        (due.requirement_ficc, "for cross-margined cash at FICC"),
        (due.requirement_cme, "for cross-margined futures at CME"),
        (due.other_ficc, "for other positions at FICC"),
        (due.other_cme, "for other futures at CME"),
        (due.other_ccps, "at other clearing houses"),
    )
    parts = [
        f"{_due(amount)} {where}"
        for amount, where in places
        if not amount.known[0] or amount.cents[0]
    ]
    if parts and not due.requirement.known[0]:
        yield f"It is made up of {_and(parts)}."
    elif len(parts) > 1:
        yield f"That is {_and(parts)}."
    yield from _own_terms(asked)
    for charge, charged in zip(asked.stages.models.charges, asked.margins.charged, strict=True):
        amount = float(charged.amount[0, OWN[charge.ccp]])
        if amount != 0.0:
            reduced = "is" if charge.reducible else "is not"
            yield (
                f"{charge.ccp}'s charge {charge.name!r} is {_usd(amount)} on the cross-margined "
                f"positions; it {reduced} reduced by the offset."
            )


def _own_terms(asked: Asked) -> Iterator[str]:
    """Say what the carrying firm asks, where that is not the requirement."""
    own, requirement = asked.required.house_requirement, asked.required.requirement
    if own.known[0] and own.cents[0] != requirement.cents[0]:
        yield f"By the firm's own terms it is {_due(own)}."


def _offset(asked: Asked, decomposed: Sequence[Decomposed]) -> Iterator[str]:
    """Say what cash and futures save together, and which clearing house decides it."""
    saving, models = asked.agreement.saving, asked.stages.models
    rate, reason = float(saving.offset_rate[0]), str(saving.reason[0])
    saved = _due(asked.required.programme_saving)
    each = [f"{ccp}'s model saves {offered:.1%}" for ccp, offered in rates_of(saving).items()]
    binding = str(saving.binding[0])
    if reason:
        yield f"There is no cross-margin offset: {_why_not(asked, reason)}."
        if reason in ("NO_SAVING", "BELOW_MINIMUM") and len(each) > 1:
            yield f"{_and(each)}."
    elif not binding:
        yield f"Cross-margining takes {rate:.1%} off, {saved}, by the policy's table of offsets."
        items = asked.agreement.offsets
        if items is not None and items.amount.size:
            largest = np.argsort(-items.amount, kind="stable")[:MOST].tolist()
            parts = [f"{items.name[items.item[n]]} with {_usd(items.amount[n])}" for n in largest]
            yield f"The largest offsets are {_and(parts)}."
    else:
        yield (
            f"Cross-margining takes {rate:.1%} off, {saved}. {_and(each)}; the smaller counts, so "
            f"{binding} binds."
        )
        if bool(saving.capped[0]):
            yield f"The agreement's cap of {models.policy.agreement.cap:.0%} limits the offset."
        for one in decomposed:
            if one.ccp == binding and one.group == 0 and one.portfolio == COMBINED:
                yield _decides(asked, one)


def _alone(asked: Asked, alone: Saving | None) -> Iterator[str]:
    """Say what the offset would be if securities and futures moved with the curve alone."""
    if alone is None or asked.agreement.offsets is not None or str(alone.reason[0]):
        return
    each = _and([f"{ccp}'s model {rate:.1%}" for ccp, rate in rates_of(alone).items()])
    yield (
        f"Without the policy's spreads and assumed bases the offset rate would be "
        f"{float(alone.offset_rate[0]):.1%} ({each})."
    )


def _savings(asked: Asked) -> Iterator[str]:
    """Tell the saving of the programme from that against ordinary accounts, if they differ."""
    programme, whole = asked.required.programme_saving, asked.required.saving
    if not (programme.known[0] and whole.known[0]):
        return
    cents = int(whole.cents[0])
    if abs(cents - int(programme.cents[0])) <= ROUNDING:
        return
    differs = (
        f"{_cents(abs(cents))} {'less' if cents > 0 else 'more'} than" if cents else "as much as"
    )
    taken = (
        f"the {_cents(int(programme.cents[0]))} that cross-margining takes off are counted on the "
        "cross-margined positions alone"
        if programme.cents[0]
        else "cross-margining takes nothing off"
    )
    yield f"The account pays {differs} with all positions in ordinary accounts; {taken}."


def _unused(asked: Asked) -> Iterator[str]:
    """Say that other futures in the cross-margin account would cost less."""
    unused = asked.stages.unused
    cents = int(unused.cents[asked.number])
    if unused.known[asked.number] and cents > 0:
        yield (
            f"At least {_cents(cents)} less would be due with other futures in the cross-margin "
            f"account; `crossmargin optimise {shlex.quote(asked.account)}` says which."
        )


def _where(asked: Asked, one: Decomposed) -> str:
    """Return the positions of a margin portfolio in words."""
    where = PORTFOLIO_WORDS[one.portfolio] if one.ccp in OWN else "positions there"
    return where if one.group == 0 else f"{where} at {asked.firm[one.group]}"


def _why_not(asked: Asked, reason: str) -> str:
    """Say why there is no offset."""
    held = asked.margins.occupied[FICC][0]
    if reason == "INCOMPLETE" and not asked.batch.clients.complete[0]:
        return "a row of the account was rejected"
    if reason == "ONE_SIDED" and not held[CASH]:
        return "there is no cash in the cross-margin account"
    if reason == "ONE_SIDED" and not held[FUTURES]:
        return "there are no futures in the cross-margin account"
    return REASONS[reason]


def _caveats(asked: Asked) -> Iterator[str]:
    """Say why figures may be too good."""
    batch, models = asked.batch, asked.stages.models
    found = caveats_of(batch.book, batch.elsewhere, models, batch.clients)
    yield from _rejected(asked)
    if found.saving_is_upper_bound[0]:
        yield "The saving is likely too large: a future moves without its basis in most scenarios."
    assumed = _assumed_basis(asked)
    if assumed:
        yield f"The basis of {_and(assumed)} is assumed, not observed."
    if found.spread_not_modelled[0]:
        yield "Spread risk is not modelled: short-rate futures move without SOFR swap rates."


def _assumed_basis(asked: Asked) -> list[str]:
    """Return the roots among the account's futures whose basis is drawn, in their order."""
    models = asked.stages.models
    if FICC in asked.stages.parsed.cubes:
        return []
    held = set(models.universe.root[asked.lines.instrument].tolist())
    names = (name.removeprefix("basis:") for name in models.market.history.assumed_basis)
    return [root for root in names if root in held]


def _omnibus(asked: Asked) -> Iterator[str]:
    """Say whose positions at FICC net here, or where the account's own do."""
    accounts = asked.stages.parsed.accounts
    omnibus = omnibus_of(accounts)
    members = members_of(omnibus)
    into = int(omnibus[asked.number])
    if into == asked.number:
        count = int(np.count_nonzero(omnibus[members] == into))
        yield (
            "It is an omnibus account: at FICC the positions of its members "
            f"({count:,} in the accounts table) net in it."
        )
    elif into >= 0:
        yield (
            "Its positions at FICC are margined in the omnibus account "
            f"{accounts['account'][into].as_py()}, not here."
        )


def _rejected(asked: Asked) -> Iterator[str]:
    """Say that rows are left out."""
    rejected = int(asked.stages.rows_rejected[asked.number])
    if rejected:
        rows = "One rejected row is" if rejected == 1 else f"{rejected:,} rejected rows are"
        yield f"{rows} left out, so the amounts may be wrong."


def _decides(asked: Asked, one: Decomposed) -> str:
    """Say which components make a V."""
    margin = next(margin for margin in margins_of(asked) if margin.ccp == one.ccp)
    amount = {
        name: float(value[one.group, one.portfolio]) for name, value in margin.component.items()
    }
    where = _where(asked, one)
    if not one.known:
        return f"{one.ccp}'s margin of the {where} is not known: a position has no price."
    if one.v == 0.0:
        return f"{one.ccp} asks nothing for the {where}: they cannot lose by its model."
    head = f"{one.ccp} margins the {where} at {_usd(one.v)}"
    parts = {part.component: weight for part, weight in one.parts}
    # A tail is here without the haircut amount that the component may contain.
    amount |= {name: tail.var for name, tail in one.tails.items() if parts[name] != 0.0}
    makes = [name for name, weight in parts.items() if weight != 0.0 and amount[name] != 0.0]
    beaten = [
        f"the {WORDS.get(name, name)} {_usd(amount[name])}"
        for name, weight in parts.items()
        if weight == 0.0 and name != HAIRCUT
    ]
    named = [
        f"{WORDS.get(name, name)} {_usd(amount[name])}"
        + ("" if parts[name] == 1.0 else f" counted at {parts[name]:.0%}")
        for name in makes
    ]
    if not makes:
        return f"{head}."
    if beaten:
        names = _and([WORDS.get(name, name) for name in makes])
        only = len(makes) == 1
        why = f"{head}: the {names} {'decides' if only else 'decide'}"
        less = f"{_and(beaten)} {'is' if len(beaten) == 1 else 'are'} smaller"
        return f"{why}; {less}." if only else f"{why}, {_and(named)}; {less}."
    return f"{head}: {_and(named)}."


def _v(asked: Asked, one: Decomposed) -> Iterator[str]:
    """Say what decides a V, and in which scenario."""
    yield _decides(asked, one)
    if not one.known:
        return
    for part, weight in one.parts:
        if part.measure is None or weight == 0.0:
            continue
        tail = one.tails[part.component]
        scenario = tail.scenario[int(tail.order[tail.measure.k - 1])]
        tag = " in the period of stress" if tag_of(tail, scenario) == STRESS else ""
        move = "scenario" if part.horizon is None else f"{part.horizon}-day move to"
        yield (
            f"The {WORDS.get(part.component, part.component)} is the loss in the {move} "
            f"{scenario}{tag}, the {ordinal(tail.measure.k)} worst of {tail.measure.count:,}: "
            f"{_usd(tail.var)}."
        )


def _how_sure(
    asked: Asked, number: int, one: Decomposed, others: Sequence[Alternative], errors: Errors
) -> Iterator[str]:
    """Say how precisely a V is known, and what it would be over other horizons."""
    if not one.known or one.v == 0.0:
        return
    where = _where(asked, one)
    for part, weight in one.parts:
        if part.measure is None or weight == 0.0:
            continue
        found = errors[number, part.component]
        interval = ""
        if found.lower is not None and found.upper is not None:
            interval = (
                f"; with 95% confidence it lies between {found.lower:,.0f} and {_usd(found.upper)}"
            )
        yield (
            f"{one.ccp}'s {WORDS.get(part.component, part.component)} of the {where} is known to "
            f"within about {_usd(found.blocks[0])} (one standard error){interval}."
        )
    other_lengths = [
        f"{_usd(other.amount)} with {other.definition}"
        for other in others
        if (other.ccp, other.group, other.portfolio, other.kind)
        == (one.ccp, one.group, one.name, HORIZON)
        and not other.in_use
        and other.amount is not None
    ]
    if other_lengths:
        ends = list(dict.fromkeys((other_lengths[0], other_lengths[-1])))
        yield f"{one.ccp}'s margin of the {where} would be {_and(ends)}."


def _positions(asked: Asked, found: Contributions, described: Described) -> Iterator[str]:
    """Say which positions add most to the requirement, and which take most off."""
    if not asked.required.requirement.known[0]:
        return
    each = found.requirement[:-1]
    order = np.argsort(-each, kind="stable")
    more = [int(n) for n in order[:MOST] if each[n] > 0.0]
    less = [int(n) for n in order[::-1][:MOST] if each[n] < 0.0]
    name = _names(asked, described)
    if more:
        parts = [f"{name[n]} with {_usd(each[n])}" for n in more]
        yield f"Most of the requirement comes from {_and(parts)}."
    if less:
        parts = [f"{name[n]} with {_usd(-each[n])}" for n in less]
        yield f"Most is taken off by {_and(parts)}."
    if found.rate_moves:
        yield "These figures include what a position does to the offset rate."


def _names(asked: Asked, described: Described) -> list[str]:
    """Return what the lines are called; an instrument of several lines with its place."""
    instruments = described.instrument.tolist()
    count = Counter(instruments)
    names = []
    for name, place, group in zip(
        instruments, asked.lines.place.tolist(), asked.lines.group.tolist(), strict=True
    ):
        if count[name] > 1:
            further = place - len(PLACES)
            where = PLACES[place] if further < 0 else f"at {asked.further[further]}"
            firm = f" through {asked.firm[group]}" if group else ""
            name = f"{name} {where}{firm}"
        names.append(name)
    return names


def _episodes(losses: Sequence[EpisodeLoss]) -> Iterator[str]:
    """Say what the account would have lost in each episode."""
    unpriced = []
    for name in dict.fromkeys(one.episode.name for one in losses):
        mine = [one for one in losses if one.episode.name == name and one.leg == BOTH]
        if not mine or mine[0].covered == NOT:
            yield f"The history does not cover {name}."
            continue
        parts = [_worst(one) for one in mine if one.pnl is not None]
        if not parts:
            unpriced.append(name)
            continue
        partly = " (the history covers only a part of it)" if mine[0].covered == PARTLY else ""
        yield f"In {name}{partly} today's positions would have {'; '.join(parts)}."
    if unpriced:
        yield f"For {_and(unpriced)} there is no figure: a position has no price."


def _worst(one: EpisodeLoss) -> str:
    """Say what the worst move of an episode would have cost."""
    days = "on the worst day" if one.horizon == 1 else f"over the worst {one.horizon} days"
    when = f"{days}, {'' if one.horizon == 1 else 'to '}{one.date}"
    assert one.pnl is not None
    if one.pnl < 0.0:
        return f"lost {_usd(-one.pnl)} {when}"
    return f"gained {_usd(one.pnl)} even {when}"
