"""Input tables of the programme's day: offset rates from elsewhere."""

from __future__ import annotations

from crossmargin.book.positions import CYCLES
from crossmargin.book.schemas import Column, Schema

_ACCOUNT = Column("account", required=True, meaning="An account of the run.")
_RATE = Column(
    "offset_rate",
    "number",
    required=True,
    low=0.0,
    high=1.0,
    meaning="The share that both clearing houses take off, 0 to 1.",
)
# Without codes: one bad cell makes the table unusable. A row set aside would be an account that
# silently keeps another rate.
OFFSET_RATES = Schema("offset_rates", (_ACCOUNT, _RATE))
LAST_GOOD = Schema(
    "last_good",
    (
        _ACCOUNT,
        _RATE,
        Column("day", "date", required=True, meaning="The day on which both gave it."),
        Column("cycle", "choice", required=True, choices=CYCLES, meaning="The margin cycle."),
    ),
)
