"""Names that the whole package uses: clearing houses, cycles, segments, portfolios, components."""

from __future__ import annotations

FICC, CME = "FICC", "CME"
"""The central counterparties (ccp) of the programme."""
CLEARS = {FICC: ("cash", "repo", "reverse"), CME: ("future",)}
"""Kinds of positions that they clear."""
CYCLES = ITD, CUR, EOD, EODXM = ("ITD", "CUR", "EOD", "EODXM")
"""The margin cycles, in the order of a day."""

FICC_XM, CME_XM, FICC_OTHER, CME_OTHER = range(4)
SEGMENTS = ("FICC cross-margined", "CME cross-margined", "FICC other", "CME other")
"""Where a position is margined. A book has a row for each segment of each group."""

PORTFOLIOS = ("cash", "futures", "combined", "other", "all")
CASH, FUTURES, COMBINED, OTHER, ALL = range(len(PORTFOLIOS))
"""What a clearing house margins as one portfolio: an axis of length 5.

`cash`, `futures` and `combined` are cross-margined. `other` is the rest of what the clearing house
clears itself. `all` is what it would margin in one ordinary account without the programme.
"""
UNIONS: dict[str, list[list[int]]] = {
    FICC: [[FICC_XM], [CME_XM], [FICC_XM, CME_XM], [FICC_OTHER], [FICC_XM, FICC_OTHER]],
    CME: [[FICC_XM], [CME_XM], [FICC_XM, CME_XM], [CME_OTHER], [CME_XM, CME_OTHER]],
}
"""Segments of each margin portfolio."""
OWN_SEGMENTS = {FICC: (FICC_XM, FICC_OTHER), CME: (CME_XM, CME_OTHER)}
"""Segments of what a clearing house clears itself."""

VAR, FLOOR, MMA, HAIRCUT = "VaR", "floor", "MMA", "haircut"
"""Components of FICC's margin."""
HVAR, SVAR = "HVaR", "SVaR"
"""Components of CME's margin by historical simulation."""
SCAN, INTRA, DELIVERY, CREDIT = "scan", "intra", "delivery", "credit"
"""Components of CME's margin by scan ranges."""
V = "V"
"""The total of a model's components."""
