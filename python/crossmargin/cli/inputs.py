"""The inputs of a run, as the options name them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossmargin.exceptions import InputError
from crossmargin.io.market import as_of_date, read_market
from crossmargin.market import Market

REQUIRED = ("positions", "accounts", "securities", "par_yields", "as_of")
"""The inputs that a run on the user's own book needs."""
OF_THE_MARKET = ("par_yields", "as_of", "basis", "fixings", "sofr", "spreads", "columns")
"""The inputs that make a market."""


@dataclass(frozen=True)
class InputOptions:
    """The inputs of `run` and `check`; the fields are the options with these names."""

    positions: list[Path] | None = None
    accounts: Path | None = None
    securities: Path | None = None
    par_yields: list[Path] | None = None
    as_of: str | None = None
    firms: Path | None = None
    basis: Path | None = None
    settlements: Path | None = None
    fixings: Path | None = None
    sofr: Path | None = None
    spreads: Path | None = None
    policy: str | None = None
    ficc_cube: Path | None = None
    cme_cube: Path | None = None
    span_file: Path | None = None
    volumes: Path | None = None
    observed_margins: Path | None = None
    columns: Path | None = None
    cycle: str = "EOD"

    def check_given(self, what: str) -> None:
        """Refuse a command without a required input; `what` ends the message."""
        lacking = [f"--{name.replace('_', '-')}" for name in REQUIRED if not getattr(self, name)]
        if lacking:
            raise InputError(f"{', '.join(lacking)} {what}")

    def check_leaves_room_for_sample(self) -> None:
        """Refuse inputs that the sample itself provides."""
        own = {*REQUIRED, *OF_THE_MARKET, "settlements"}
        if any(getattr(self, name) for name in own):
            raise InputError("--sample has its own market and book; leave out the other inputs")

    def market(self) -> Market:
        """Return the market, read from its files."""
        return read_market(
            self.par_yields,
            as_of=as_of_date(self.as_of or ""),
            basis=self.basis,
            fixings=self.fixings,
            sofr=self.sofr,
            spreads=self.spreads,
            columns=self.columns,
        )

    def of_the_book(self) -> dict[str, Any]:
        """Return the arguments that margining a book and checking it have in common."""
        return {
            "positions": self.positions,
            "accounts": self.accounts,
            "securities": self.securities,
            "firms": self.firms,
            "settlements": self.settlements,
            "ficc_cube": self.ficc_cube,
            "cme_cube": self.cme_cube,
            "span_file": self.span_file,
            "volumes": self.volumes,
            "observed_margins": self.observed_margins,
            "columns": self.columns,
            "cycle": self.cycle,
        }
