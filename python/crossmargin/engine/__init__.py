"""The interface to the kernels: tails of portfolios, P&L under shocks, and offsets of deltas.

`reference` defines each kernel in plain NumPy. The C++ and numba kernels give the same bits
(methodology, section 1), for every backend, number of threads and order of accounts.
"""

from crossmargin.engine.backends import Info, info
from crossmargin.engine.book import Book
from crossmargin.engine.boxes import BoxTails, book_pnl, box_tails
from crossmargin.engine.cube import Cube, Measure, tail_size
from crossmargin.engine.execution import Execution
from crossmargin.engine.executor import default_threads
from crossmargin.engine.faults import PnlError
from crossmargin.engine.netting import (
    ClassOffsets,
    SpreadCredits,
    TierCharges,
    offset_classes,
    spread_credits,
    tier_charges,
)
from crossmargin.engine.revaluation import Terms, feature_index, revalue, taylor
from crossmargin.engine.tails import (
    SegmentTails,
    Tails,
    segment_tails,
    segment_tails_batches,
    tails,
)

__all__ = [
    "Book",
    "BoxTails",
    "ClassOffsets",
    "Cube",
    "Execution",
    "Info",
    "Measure",
    "PnlError",
    "SegmentTails",
    "SpreadCredits",
    "Tails",
    "Terms",
    "TierCharges",
    "book_pnl",
    "box_tails",
    "default_threads",
    "feature_index",
    "info",
    "offset_classes",
    "revalue",
    "segment_tails",
    "segment_tails_batches",
    "spread_credits",
    "tail_size",
    "tails",
    "taylor",
    "tier_charges",
]
