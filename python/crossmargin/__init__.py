"""Margin of a client book under CME-FICC cross-margining: both houses' numbers, and why."""

from importlib.metadata import version

from crossmargin.analysis.compare import compare
from crossmargin.analysis.revaluation import compare_revaluation
from crossmargin.book.exceptions import InputWarning
from crossmargin.calculation.result import RunResult
from crossmargin.calculation.run import rerun, run
from crossmargin.engine import Book, Cube, Measure, segment_tails, segment_tails_batches, tails
from crossmargin.instruments.baskets import deliverable_basket
from crossmargin.instruments.conversion import conversion_factor
from crossmargin.instruments.treasury import price_from_yield, yield_from_price
from crossmargin.market import Market
from crossmargin.market.rates import RateWarning
from crossmargin.policies import read_policy
from crossmargin.whatif.session import Session

__version__ = version("crossmargin")

__all__ = [
    "Book",
    "Cube",
    "InputWarning",
    "Market",
    "Measure",
    "RateWarning",
    "RunResult",
    "Session",
    "compare",
    "compare_revaluation",
    "conversion_factor",
    "deliverable_basket",
    "price_from_yield",
    "read_policy",
    "rerun",
    "run",
    "segment_tails",
    "segment_tails_batches",
    "tails",
    "yield_from_price",
]
