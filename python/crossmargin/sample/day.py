"""The synthetic book as the folder of a day: what arrives for each cycle differs a little.

Trades are added during the day: each row of positions has a moment at which it is first there. What
is on deposit is a share of the gross positions, scattered, so that some accounts have a call.
There are no futures after those of CUR: the day takes these, with the transfers booked since.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.conventions import CME, FICC
from crossmargin.market.draws import Draws

PARTS = {
    "ficc-ITD-1": (False, 0.95),
    "futures-ITD-1": (True, 0.95),
    "ficc-CUR-1": (False, 0.98),
    "futures-CUR-1": (True, 1.0),
    "ficc-EOD-1": (False, 0.99),
    "ficc-EODXM-1": (False, 1.0),
}
"""What arrives: whether it has the futures, and the share of the day's rows that are in it."""
ON_DEPOSIT = {FICC: 0.01, CME: 800.0}
"""USD on deposit at the median: of USD of face, and of a contract."""
SCATTER = 0.5
PLAN = """# A synthetic day: no figure in it is real.
date = {day}
# EOD and EODXM take the last futures of the day, with the transfers booked since.
carried = ["EOD", "EODXM"]
"""


def day_tables(tables: Mapping[str, pa.Table], seed: int) -> dict[str, pa.Table]:
    """Return what the folder of a day has beside the market, by the names of its files.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        From `sample_tables`.
    seed : int
        Zero or more.
    """
    positions = tables["positions"]
    future = columns.flags(pc.equal(positions["kind"], columns.scalar("future")))
    there_from = Draws(seed, "day").uniform(len(positions))
    arrivals = {
        f"arrivals/{name}": positions.filter(
            columns.column((future == of_futures) & (there_from < share))
        )
        for name, (of_futures, share) in PARTS.items()
    }
    static = ("accounts", "securities", "par_yields", "basis")
    deposits = _deposits(tables, future, seed)
    return {**{name: tables[name] for name in static}, "deposits": deposits, **arrivals}


def _deposits(tables: Mapping[str, pa.Table], future: columns.Column, seed: int) -> pa.Table:
    """Return what is on deposit for each account at both clearing houses."""
    account = pc.unique(columns.plain(tables["accounts"]["account"]).drop_null())
    positions = tables["positions"]
    owner = columns.integers(
        pc.index_in(columns.plain(positions["account"]), value_set=account).fill_null(-1)
    )
    size = np.abs(np.nan_to_num(columns.numbers(positions["quantity"])))
    parts = []
    for ccp, of_futures in ((FICC, False), (CME, True)):
        used = (owner >= 0) & (future == of_futures)
        gross = np.bincount(owner[used], size[used], minlength=len(account))
        scattered = Draws(seed, f"deposits {ccp}").lognormal(SCATTER, len(account))
        # Whole thousands, as collateral comes.
        value = np.ceil(gross * ON_DEPOSIT[ccp] * scattered / 1000.0) * 1000.0
        held = np.flatnonzero(value > 0.0)
        parts.append(
            pa.table(
                {
                    "account": account.take(pa.array(held)),
                    "ccp": pa.array([ccp] * held.size),
                    "value": pa.array(value[held]),
                }
            )
        )
    return pa.concat_tables(parts)
