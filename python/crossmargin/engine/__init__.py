"""One door to the kernels: quantities and P&L in, tails out; terms and shocks in, P&L out.

`reference` says in plain NumPy what each kernel means; the C++ and numba kernels give the same bits
(methodology, section 1) whatever the backend, the number of threads or the order of accounts.
"""

from crossmargin.engine.backends import Info, info
from crossmargin.engine.book import Book
from crossmargin.engine.cube import Cube, Measure, tail_size
from crossmargin.engine.executor import default_threads
from crossmargin.engine.faults import PnlError
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
    "Cube",
    "Info",
    "Measure",
    "PnlError",
    "SegmentTails",
    "Tails",
    "Terms",
    "default_threads",
    "feature_index",
    "info",
    "revalue",
    "segment_tails",
    "segment_tails_batches",
    "tail_size",
    "tails",
    "taylor",
]
