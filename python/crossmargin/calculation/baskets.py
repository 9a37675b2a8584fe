"""What is to be noted of the delivery baskets of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from crossmargin.book.schemas import SECURITIES
from crossmargin.calculation.classified import classify_trades
from crossmargin.calculation.inputs import ParsedInputs
from crossmargin.calculation.netted import NettedBook, net_trades
from crossmargin.conventions import FICC_XM
from crossmargin.exceptions import ExceptionLog
from crossmargin.instruments.basket_checks import BasketCheck, check_baskets
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.instruments.universe import Universe
from crossmargin.margin.ccps import clearing_houses
from crossmargin.margin.cme.equivalents import equivalents
from crossmargin.policies import CmeEquivalents, Policy
from crossmargin.policies.sections.baskets import BasketRules
from crossmargin.results.baskets import listed


def basket_notes(
    checks: Sequence[BasketCheck],
    parsed: ParsedInputs,
    netted: NettedBook,
    universe: Universe,
    policy: Policy,
) -> pa.Table:
    """Return a note on each basket and kind of doubt, beyond the thresholds of the policy.

    Parameters
    ----------
    checks : sequence of BasketCheck
    parsed, netted, universe
        Say which contracts the book holds, and which stand for its cross-margined cash.
    policy : Policy
        Without a table of baskets nothing is noted.

    Returns
    -------
    pyarrow.Table
        Exceptions.
    """
    log = ExceptionLog()
    rules = policy.get(BasketRules)
    if rules is not None:
        used = _used(parsed, netted, universe, policy)
        doubted = [check for check in checks if check.contract.symbol in used]
        for code, words in _KINDS.items():
            said = {check.contract.symbol: words(check, rules) for check in doubted}
            noted = {symbol: text for symbol, text in said.items() if text is not None}
            log.add(
                code,
                file=SECURITIES.name,
                instrument=list(noted),
                message=[f"{symbol}: {text}" for symbol, text in noted.items()],
            )
    return log.table()


def basket_notes_before_a_run(parsed: ParsedInputs, policy: Policy) -> pa.Table:
    """Return the notes on the baskets of a book that is read but not margined; see `basket_notes`.

    Parameters
    ----------
    parsed : ParsedInputs
    policy : Policy
        Without a table of baskets nothing is valued.

    Returns
    -------
    pyarrow.Table
        Exceptions.
    """
    if policy.get(BasketRules) is None:
        return ExceptionLog().table()
    store = BasketStore()
    netted = net_trades(parsed, classify_trades(parsed, policy), clearing_houses(policy), store)
    universe = netted.universe
    checks = check_baskets(
        universe, parsed.securities, netted.contracts, parsed.market.as_of, store
    )
    return basket_notes(checks, parsed, netted, universe, policy)


def _used(parsed: ParsedInputs, netted: NettedBook, universe: Universe, policy: Policy) -> set[str]:
    """Return the contracts of the trades, and those that stand for cross-margined cash."""
    own = {contract.symbol for contract in parsed.trades.contracts}
    crossed = np.zeros(universe.name.size, dtype=np.bool_)
    crossed[netted.lines.instrument[netted.lines.segment == FICC_XM]] = True
    stands_for = equivalents(
        universe,
        policy.cme,
        parsed.market.as_of,
        policy.get(CmeEquivalents),
        volumes=parsed.volumes,
        file=parsed.span_file,
    ).contract
    # The Treasuries are the first instruments.
    future = stands_for[crossed[: stands_for.size]]
    return own | set(universe.name[future[future >= 0]].tolist())


def _thin(check: BasketCheck, rules: BasketRules) -> str | None:
    if check.calendar is None:
        return None
    lacks, size = check.calendar.missing.names, check.calendar.expected.term.size
    if not lacks or len(lacks) <= rules.missing_share * size:
        return None
    return (
        f"the table lacks {len(lacks)} of {size} issues that should be deliverable: "
        f"{listed(lacks)}; the cheapest may be among them: add them"
    )


def _mixed(check: BasketCheck, _: BasketRules) -> str | None:
    if not check.mixed:
        return None
    lacks = check.members.cusip[~check.priced].tolist()
    return (
        f"{len(lacks)} of {check.value.size} deliverable securities have no market price, and are "
        f"valued on the curve beside the others: {listed(lacks)}; give all prices, or none"
    )


def _outlier(check: BasketCheck, rules: BasketRules) -> str | None:
    away = check.from_median
    far = np.flatnonzero(np.abs(away) > rules.spread_bp)
    if not far.size:
        return None
    far = far[np.argsort(-np.abs(away[far]), kind="stable")]
    named = [f"{check.members.cusip[n]} by {away[n]:+.1f}" for n in far.tolist()]
    cheapest = " (the cheapest is one of them)" if check.ranked[0] in far else ""
    return (
        f"z-spreads far from the median of the basket, in basis points: {listed(named)}{cheapest}; "
        "check these prices"
    )


def _early(check: BasketCheck, rules: BasketRules) -> str | None:
    if check.calendar is None:
        return None
    later = check.calendar.later
    size = check.value.size + later.term.size
    if later.term.size <= rules.later_share * size:
        return None
    return (
        f"of {size} issues that can be deliverable in the end {later.term.size} are still to come, "
        f"the next one {later.names[0]}: the cheapest may change"
    )


def _close(check: BasketCheck, rules: BasketRules) -> str | None:
    if check.gap is None or check.gap > rules.gap_points:
        return None
    first, second = check.members.cusip[check.ranked[:2]].tolist()
    usd = check.gap * check.contract.rule.usd_per_point
    return (
        f"{second} is only {check.gap:.4f} points ({usd:.2f} USD a contract) dearer to deliver "
        f"than {first}: the cheapest may change"
    )


def _shared(check: BasketCheck, _: BasketRules) -> str | None:
    if not check.shared:
        return None
    cusip = check.members.cusip[check.ranked[0]]
    return (
        f"its cheapest security, {cusip}, is that of {', '.join(check.shared)} too: they differ by "
        "their basis alone"
    )


_KINDS: dict[str, Callable[[BasketCheck, BasketRules], str | None]] = {
    "BASKET_THIN": _thin,
    "BASKET_MIXED": _mixed,
    "BASKET_OUTLIER": _outlier,
    "BASKET_EARLY": _early,
    "CHEAPEST_CLOSE": _close,
    "CHEAPEST_SHARED": _shared,
}
"""What can be noted of a basket, by code: the words, or None."""
