"""Margin of a client book under CME-FICC cross-margining, by both clearing houses' models."""

from importlib.metadata import version
from typing import TYPE_CHECKING

from crossmargin.analysis.attribution import Attribution, attribute
from crossmargin.analysis.compare import compare
from crossmargin.analysis.explain import Explanation, explain
from crossmargin.analysis.replay import Day, replay
from crossmargin.analysis.revaluation import compare_revaluation
from crossmargin.analysis.reverse_stress import ReverseStress, reverse_stress
from crossmargin.calculation.rebuild import rebuild_run
from crossmargin.calculation.result import RunResult
from crossmargin.calculation.run import rerun, run
from crossmargin.calculation.store import read_run, write_run
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
from crossmargin.whatif.files import answer_questions
from crossmargin.whatif.session import Session

if TYPE_CHECKING:
    from crossmargin.sample import sample_market
else:

    def __getattr__(name: str) -> object:
        """Import the sample when it is first used: a run does not need it."""
        if name == "sample_market":
            from crossmargin.sample import sample_market

            return sample_market
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__version__ = version("crossmargin")

__all__ = [
    "Allocation",
    "Attribution",
    "Book",
    "Cube",
    "Day",
    "Explanation",
    "InputWarning",
    "Market",
    "Measure",
    "RateWarning",
    "ReverseStress",
    "RunResult",
    "Session",
    "allocate",
    "answer_questions",
    "attribute",
    "compare",
    "compare_revaluation",
    "conversion_factor",
    "deliverable_basket",
    "explain",
    "price_from_yield",
    "read_market",
    "read_markets",
    "read_policy",
    "read_run",
    "rebuild_run",
    "replay",
    "rerun",
    "reverse_stress",
    "run",
    "sample_market",
    "segment_tails",
    "segment_tails_batches",
    "tails",
    "write_run",
    "yield_from_price",
]
