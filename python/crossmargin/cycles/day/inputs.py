"""The inputs that hold for the whole day, read once, and a cycle's run on them."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossmargin import columns
from crossmargin.book.schemas import SETTLEMENTS
from crossmargin.book.settlements import read_settlements
from crossmargin.calculation.result import RunResult
from crossmargin.calculation.run import run
from crossmargin.exceptions import ExceptionLog, InputWarning
from crossmargin.io.column_map import read_column_map
from crossmargin.io.parse import parse
from crossmargin.io.sources import read_source
from crossmargin.io.tables import Given
from crossmargin.market import Market
from crossmargin.policies import Policy
from crossmargin.results.table import Table
from crossmargin.version import __version__

OF_THE_MARKET = ("par_yields", "basis", "fixings", "sofr", "spreads")
OF_THE_BOOK = ("accounts", "securities", "firms", "settlements", "volumes", "observed_margins")
DEPOSITS = "deposits"


@dataclass(frozen=True)
class DayInputs:
    """What all cycles of a day have in common.

    Attributes
    ----------
    policy : Policy
    market : Market
    tables : dict of str to Given
        The static inputs beside the market, as they came.
    columns : dict, optional
        What our columns are called in the inputs.
    hashes : dict of str to str
        SHA-256 of every static input, by its name.
    """

    policy: Policy
    market: Market
    tables: Mapping[str, Given]
    columns: Mapping[str, Any] | None
    hashes: Mapping[str, str]

    @property
    def deposits(self) -> Given | None:
        """What is on deposit, if it is given."""
        return self.tables.get(DEPOSITS)

    def prices(self) -> dict[str, float]:
        """Return the day's settlement prices by contract, to book transfers at; none if unknown."""
        given = self.tables.get(SETTLEMENTS.name)
        if given is None:
            return {}
        mapping = None if self.columns is None else read_column_map(self.columns)
        ours = read_source(given, name=SETTLEMENTS.name, column_map=mapping)
        log = ExceptionLog()  # The run has logged what is in it.
        typed = parse(ours.table, SETTLEMENTS, file=SETTLEMENTS.name, log=log, point=ours.point)
        found = read_settlements(typed.table, as_of=self.market.as_of)
        today = np.flatnonzero(found.date == self.market.as_of)
        return {
            found.contracts[found.number[at]].symbol: float(found.price[at])
            for at in today.tolist()
        }

    def run(
        self, positions: list[Given], cycle: str, run_id: str, threads: int | None
    ) -> RunResult:
        """Return the margin of the book of a cycle.

        Parameters
        ----------
        positions : list of Given
            The files that arrived for it, and what was booked since.
        cycle : str
        run_id : str
        threads : int, optional
        """
        book: dict[str, Any] = {
            name: self.tables[name] for name in OF_THE_BOOK if name in self.tables
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # the exceptions say it
            made = run(
                positions=positions,
                **book,
                market=self.market,
                policy=self.policy,
                columns=self.columns,
                cycle=cycle,
                threads=threads,
                unused=False,
            )
        return identified(made, run_id)


def identified(made: RunResult, run_id: str) -> RunResult:
    """Return a run with another id, and without the times at which it was made.

    Parameters
    ----------
    made : RunResult
    run_id : str
        One that follows from its inputs, so that the same run has the same id again.
    """
    stamp = columns.scalar(run_id)
    tables: dict[str, Any] = {}
    for name in made.manifest["results"]:
        table = getattr(made, name).to_arrow()
        at = table.schema.get_field_index("run_id")
        cells = columns.repeated(stamp, len(table))
        tables[name] = Table(table.set_column(at, table.schema.field(at), cells))
    manifest = {
        name: value for name, value in made.manifest.items() if name not in ("started", "finished")
    }
    return replace(made, **tables, manifest={**manifest, "run_id": run_id})


def run_id_of(*parts: Any) -> str:
    """Return the id of a run: it follows from what it is made of."""
    text = json.dumps([*parts, __version__], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
