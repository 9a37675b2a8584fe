"""Margin of a client book under CME-FICC cross-margining, by both clearing houses' models."""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from crossmargin.version import __version__ as __version__

if TYPE_CHECKING:
    from crossmargin.analysis.attribution import Attribution, attribute
    from crossmargin.analysis.compare import compare
    from crossmargin.analysis.explain import Explanation, explain
    from crossmargin.analysis.programme_off import ProgrammeOff, programme_off
    from crossmargin.analysis.reconcile import Reconciliation, reconcile
    from crossmargin.analysis.replay import Day, replay
    from crossmargin.analysis.revaluation import compare_revaluation
    from crossmargin.analysis.reverse_stress import ReverseStress, reverse_stress
    from crossmargin.analysis.upcoming import Upcoming, upcoming
    from crossmargin.calculation.offset_rates import with_offset_rates
    from crossmargin.calculation.rebuild import rebuild_run
    from crossmargin.calculation.result import RunResult
    from crossmargin.calculation.run import rerun, run
    from crossmargin.calculation.store import read_run, write_run
    from crossmargin.cycles.calls import Calls, calls
    from crossmargin.cycles.day.play import PlayedDay, play_day
    from crossmargin.cycles.fallback import apply_fallback, fallbacks
    from crossmargin.cycles.ledger import Ledger
    from crossmargin.engine import Book, Cube, Measure, segment_tails, segment_tails_batches, tails
    from crossmargin.exceptions import InputWarning
    from crossmargin.instruments.conversion import conversion_factor
    from crossmargin.instruments.treasury import price_from_yield, yield_from_price
    from crossmargin.io.baskets import deliverable_basket
    from crossmargin.io.market import read_market, read_markets
    from crossmargin.market import Market
    from crossmargin.market.rates import RateWarning
    from crossmargin.optimise.allocation import Allocation, allocate
    from crossmargin.policies import read_policy
    from crossmargin.sample import sample_market
    from crossmargin.whatif.files import answer_questions
    from crossmargin.whatif.session import Session

_HOMES = {
    "Allocation": "optimise.allocation",
    "Attribution": "analysis.attribution",
    "Book": "engine",
    "Calls": "cycles.calls",
    "Cube": "engine",
    "Day": "analysis.replay",
    "Explanation": "analysis.explain",
    "InputWarning": "exceptions",
    "Ledger": "cycles.ledger",
    "Market": "market",
    "Measure": "engine",
    "PlayedDay": "cycles.day.play",
    "ProgrammeOff": "analysis.programme_off",
    "RateWarning": "market.rates",
    "Reconciliation": "analysis.reconcile",
    "ReverseStress": "analysis.reverse_stress",
    "RunResult": "calculation.result",
    "Session": "whatif.session",
    "Upcoming": "analysis.upcoming",
    "allocate": "optimise.allocation",
    "answer_questions": "whatif.files",
    "apply_fallback": "cycles.fallback",
    "attribute": "analysis.attribution",
    "calls": "cycles.calls",
    "compare": "analysis.compare",
    "compare_revaluation": "analysis.revaluation",
    "conversion_factor": "instruments.conversion",
    "deliverable_basket": "io.baskets",
    "explain": "analysis.explain",
    "fallbacks": "cycles.fallback",
    "play_day": "cycles.day.play",
    "price_from_yield": "instruments.treasury",
    "programme_off": "analysis.programme_off",
    "read_market": "io.market",
    "read_markets": "io.market",
    "read_policy": "policies",
    "read_run": "calculation.store",
    "rebuild_run": "calculation.rebuild",
    "reconcile": "analysis.reconcile",
    "replay": "analysis.replay",
    "rerun": "calculation.run",
    "reverse_stress": "analysis.reverse_stress",
    "run": "calculation.run",
    "sample_market": "sample",
    "segment_tails": "engine",
    "segment_tails_batches": "engine",
    "tails": "engine",
    "with_offset_rates": "calculation.offset_rates",
    "upcoming": "analysis.upcoming",
    "write_run": "calculation.store",
    "yield_from_price": "instruments.treasury",
}
"""The module of each name below. It is imported when the name is first used: a process needs few
of them, and all together take longer to import than a small book to margin."""

__all__ = [
    "Allocation",
    "Attribution",
    "Book",
    "Calls",
    "Cube",
    "Day",
    "Explanation",
    "InputWarning",
    "Ledger",
    "Market",
    "Measure",
    "PlayedDay",
    "ProgrammeOff",
    "RateWarning",
    "Reconciliation",
    "ReverseStress",
    "RunResult",
    "Session",
    "Upcoming",
    "allocate",
    "answer_questions",
    "apply_fallback",
    "attribute",
    "calls",
    "compare",
    "compare_revaluation",
    "conversion_factor",
    "deliverable_basket",
    "explain",
    "fallbacks",
    "play_day",
    "price_from_yield",
    "programme_off",
    "read_market",
    "read_markets",
    "read_policy",
    "read_run",
    "rebuild_run",
    "reconcile",
    "replay",
    "rerun",
    "reverse_stress",
    "run",
    "sample_market",
    "segment_tails",
    "segment_tails_batches",
    "tails",
    "upcoming",
    "with_offset_rates",
    "write_run",
    "yield_from_price",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a name or a module of the package when it is first used, and keep it."""
        if name in _HOMES:
            found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        else:
            found = _module(name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    """Return all names, used or not."""
    return sorted({*globals(), *__all__})


def _module(name: str) -> ModuleType:
    """Return a module of the package, such as `engine`; an attribute error if there is none."""
    path = f"{__name__}.{name}"
    lacking = f"module {__name__!r} has no attribute {name!r}"
    if name.startswith("_"):
        raise AttributeError(lacking)
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        raise AttributeError(lacking) from None
