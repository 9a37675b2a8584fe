"""The plan of a day: its cycles and their steps as data, and the options in `day.toml`."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from crossmargin.conventions import CME, CUR, EOD, EODXM, FICC
from crossmargin.conventions import CYCLES as ORDER
from crossmargin.exceptions import InputError

FUTURES = "FUTURES"
SIDES = (FICC, FUTURES)
"""What arrives for a cycle: positions at FICC, and futures."""
POSITIONS, ALLOCATION, BOOKINGS, SAVINGS, CALLS = STEPS = (
    "positions",
    "allocation",
    "bookings",
    "savings",
    "calls",
)
DIRECTORIES = {step: f"{number}-{step}" for number, step in enumerate(STEPS, 1)}
"""The directory of each step. A step has the same number in every cycle."""


@dataclass(frozen=True)
class Cycle:
    """One of the day's margin cycles.

    Attributes
    ----------
    name : str
        As the exchange's reports call it.
    steps : tuple of str
        In order.
    adjusts : str, optional
        The earlier cycle whose figures it adjusts. It waits until that one is done.
    """

    name: str
    steps: tuple[str, ...]
    adjusts: str | None = None


_MARGINED = (POSITIONS, SAVINGS, CALLS)
_STEPS = {CUR: (POSITIONS, ALLOCATION, BOOKINGS)}
CYCLES = tuple(
    Cycle(name, _STEPS.get(name, _MARGINED), EOD if name == EODXM else None) for name in ORDER
)
"""The cycles in the order of the day."""
NAMES = tuple(cycle.name for cycle in CYCLES)

STATIC = (
    *("accounts", "securities", "firms", "par_yields", "basis", "settlements", "fixings", "sofr"),
    *("spreads", "volumes", "observed_margins", "deposits", "columns"),
)
"""The inputs that hold for the whole day, by the stem of their files."""
REQUIRED = ("accounts", "securities", "par_yields")

OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "quick": bool,
    "front_month": bool,
    "exclude_roll": bool,
    "most_transfers": int,
    "transfer_cost": (int, float),
    "minimum_gain": (int, float),
}
"""The options of the allocation; see `crossmargin.allocate`. It is quick unless told otherwise."""


@dataclass(frozen=True)
class Slot:
    """One run of a cycle; they are played in ascending order.

    Attributes
    ----------
    place : int
        Place of the cycle in `CYCLES`.
    run : int
        From 1.
    """

    place: int
    run: int

    @property
    def cycle(self) -> Cycle:
        """The cycle."""
        return CYCLES[self.place]

    @property
    def key(self) -> tuple[int, int]:
        """What slots are ordered by."""
        return self.place, self.run

    def __str__(self) -> str:
        """Return its name in files and messages."""
        return f"{self.cycle.name}-{self.run}"


@dataclass(frozen=True)
class DayPlan:
    """The options of a day.

    Attributes
    ----------
    date : datetime64[D]
        The day that is played.
    policy : str, optional
        The name of a shipped policy, or a file in the folder.
    options : dict
        Of the allocation in CUR; see `OPTIONS`.
    late : dict of str to tuple of str
        The clearing houses whose figures are late, by cycle.
    carried : tuple of str
        The cycles that take the day's last futures, with the transfers booked since, if no futures
        arrive for them.
    files : dict of str to str
        The file of a static input, where it is not named like the input.
    """

    date: np.datetime64
    policy: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    late: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    carried: tuple[str, ...] = (EODXM,)
    files: Mapping[str, str] = field(default_factory=dict)


def day_plan(given: Mapping[str, Any], label: str = "day.toml") -> DayPlan:
    """Return the options of a day.

    Parameters
    ----------
    given : mapping
        The content of `day.toml`.
    label : str
        Its name in messages.

    Returns
    -------
    DayPlan

    Raises
    ------
    InputError
        A key is unknown, or its value makes no sense.
    """
    known = ("date", "policy", "allocation", "late", "carried", "inputs")
    _refuse_unknown(given, known, label)
    if "date" not in given:
        raise InputError(f"{label}, `date`: is missing; give the day, as date = 2026-06-10")
    date = given["date"]
    if isinstance(date, str):
        try:
            date = datetime.date.fromisoformat(date)
        except ValueError:
            date = None
    if not isinstance(date, datetime.date) or isinstance(date, datetime.datetime):
        _refuse(label, "date", f"{given['date']!r:.60} is not a day; write 2026-06-10")
    policy = given.get("policy")
    if policy is not None and not (isinstance(policy, str) and policy.strip()):
        _refuse(label, "policy", "give the name of a shipped policy, or of a file in the folder")
    return DayPlan(
        date=np.datetime64(date, "D"),
        policy=policy,
        options=_options(given.get("allocation", {}), label),
        late=_late(given.get("late", {}), label),
        carried=_cycles(given.get("carried", list(DayPlan.carried)), f"{label}, `carried`"),
        files=_files(given.get("inputs", {}), label),
    )


def _options(given: Any, label: str) -> dict[str, Any]:
    """Return the options of the allocation, of the right types; `allocate` checks the ranges."""
    where = f"{label}, `allocation`"
    _refuse_unknown(given, tuple(OPTIONS), where)
    for name, value in given.items():
        kind = OPTIONS[name]
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            words: dict[Any, str] = {bool: "true or false", int: "a whole number"}
            wanted = words.get(kind, "an amount in USD")
            _refuse(label, f"allocation.{name}", f"{value!r:.60} is not {wanted}")
    return dict(given)


def _late(given: Any, label: str) -> dict[str, tuple[str, ...]]:
    where = f"{label}, `late`"
    _refuse_unknown(given, NAMES, where)
    return {cycle: late_houses(names, f"{where}.{cycle}") for cycle, names in given.items()}


def late_houses(names: Any, where: str) -> tuple[str, ...]:
    """Return the clearing houses whose figures are late, without doubles.

    Raises
    ------
    InputError
        A name is not that of a clearing house of the programme.
    """
    if not isinstance(names, list | tuple):
        raise InputError(f'{where}: give a list of clearing houses, such as ["{FICC}"]')
    for name in names:
        if name not in (FICC, CME):
            raise InputError(f"{where}: {name!r:.60} is neither {FICC} nor {CME}")
    return tuple(sorted(set(names)))


def _cycles(given: Any, where: str) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise InputError(f'{where}: give a list of cycles, such as ["EODXM"]')
    for name in given:
        if name not in NAMES:
            raise InputError(f"{where}: {name!r:.60} is not a cycle{near(str(name), NAMES)}")
    return tuple(name for name in NAMES if name in given)


def _files(given: Any, label: str) -> dict[str, str]:
    where = f"{label}, `inputs`"
    _refuse_unknown(given, STATIC, where)
    for name, file in given.items():
        if not isinstance(file, str) or not file.strip():
            _refuse(label, f"inputs.{name}", f"{file!r:.60} is not the name of a file")
    return dict(given)


def near(name: str, known: tuple[str, ...]) -> str:
    """Return the end of a message on an unknown name: the one that may be meant, or all."""
    close = difflib.get_close_matches(name[:100], known, n=1)
    return f"; do you mean `{close[0]}`?" if close else f"; known: {', '.join(known)}"


def _refuse_unknown(given: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(given, Mapping):
        raise InputError(f"{where}: must be a table")
    for name in given:
        if name not in known:
            raise InputError(f"{where}: `{name[:100]}` is unknown{near(name, known)}")


def _refuse(label: str, key: str, why: str) -> NoReturn:
    raise InputError(f"{label}, `{key}`: {why}")
