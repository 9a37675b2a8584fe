"""A step of a day's cycle, and the hashes that identify it in the ledger."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crossmargin.conventions import CYCLES
from crossmargin.instruments.schedule import as_dates
from crossmargin.version import __version__


@dataclass(frozen=True)
class Step:
    """What was done in one step of a cycle: with which inputs, under which policy.

    Attributes
    ----------
    day : date_like
        The day that is margined.
    cycle : {"ITD", "CUR", "EOD", "EODXM"}
    run : int
        The run of the cycle, from 1.
    step : str
        Such as `savings`.
    run_id : str
    policy, policy_hash : str
        Name and SHA-256 of the policy.
    inputs, outputs : dict of str to str
        SHA-256 of each input, and of each file written, by name.
    late : sequence of str
        The clearing houses whose figures were late.
    fallback : str, optional
        The rule applied for them.
    version : str
        Of crossmargin.
    """

    day: Any
    cycle: str
    run: int
    step: str
    run_id: str
    policy: str
    policy_hash: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    late: Sequence[str] = ()
    fallback: str | None = None
    version: str = __version__

    def __post_init__(self) -> None:
        """Check the fields, and make the day a date."""
        object.__setattr__(self, "day", as_day(self.day))
        if self.cycle not in CYCLES:
            raise ValueError(f"cycle: one of {', '.join(CYCLES)} expected, got {self.cycle!r:.60}")
        if isinstance(self.run, bool) or not isinstance(self.run, int) or self.run < 1:
            raise ValueError(f"run: a whole number from 1 expected, got {self.run!r:.60}")
        for name in ("step", "run_id", "policy", "policy_hash", "version"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ValueError(f"{name}: a text expected, got {getattr(self, name)!r:.60}")
        for name in ("inputs", "outputs"):
            for key, value in getattr(self, name).items():
                if not isinstance(key, str) or not isinstance(value, str) or not value:
                    raise ValueError(f"{name}: names and hashes expected, got {key!r}: {value!r}")
        if isinstance(self.late, str) or any("," in ccp or not ccp for ccp in self.late):
            raise ValueError(f"late: names of clearing houses expected, got {self.late!r:.60}")
        object.__setattr__(self, "late", tuple(self.late))

    @property
    def name(self) -> str:
        """The step as messages name it."""
        return f"{self.day} {self.cycle} run {self.run}, step {self.step}"


def as_day(value: Any, name: str = "day") -> datetime.date:
    """Return a date; ValueError if it is none."""
    day: datetime.date = as_dates(value, name).astype("datetime64[D]")[()].item()
    return day


def as_json(value: Any) -> str:
    """Return a value as the one JSON text that it has in the ledger."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def hash_of(text: str) -> str:
    """Return the SHA-256 of a text, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
