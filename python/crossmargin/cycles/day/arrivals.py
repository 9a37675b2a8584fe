"""What each arrived file is: side, cycle and run, by its content and its name."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.book.schemas import POSITION_KINDS
from crossmargin.conventions import FICC
from crossmargin.cycles.day.plan import BOOKINGS, FUTURES, NAMES, SIDES, Cycle, Slot, near
from crossmargin.exceptions import ExceptionLog
from crossmargin.io.layouts.reports import column_of
from crossmargin.io.tables import Given

FOLDER = "arrivals"
MOST_RUNS = 9999
"""The largest number of a run; a longer one is probably something else."""
_NAME = re.compile(r"(ficc|futures)-([a-z]+)-([0-9]+)\.[^/]+", re.IGNORECASE)
_DAYS = ("%Y-%m-%d", "%m/%d/%Y", "%Y%m%d")
"""How a file may write its day."""


class SetAsideError(Exception):
    """An arrived file that is not used: a code of the exceptions, and why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, eq=False)
class Arrival:
    """A file that arrived, and what it is.

    Attributes
    ----------
    name : str
        Its name in the folder of arrivals.
    side : str
        One of `SIDES`.
    slot : Slot
        The cycle and run that it is for.
    given : Given
        Its table as it came, and its hash.
    """

    name: str
    side: str
    slot: Slot
    given: Given

    @property
    def hash(self) -> str:
        """SHA-256 of the file."""
        return self.given.hash


def identify(name: str, given: Given, ours: pa.Table, date: np.datetime64) -> Arrival:
    """Return what an arrived file is.

    Parameters
    ----------
    name : str
        Its name. `SIDE-CYCLE-RUN.ext` says what its columns do not.
    given : Given
        Its table as it came; the columns BusDate, Cycle and Run are looked for there.
    ours : pyarrow.Table
        The same in our columns.
    date : datetime64[D]
        The day that is played.

    Returns
    -------
    Arrival

    Raises
    ------
    SetAsideError
        It cannot be told, the name and the content contradict each other, or it is of another day.
    """
    side, cycle, run = _of_name(name)
    inside = {name: column_of(given.table, name) for name in ("business_date", "cycle", "run")}
    told = {name: _one(given.table[own], own) for name, own in inside.items() if own is not None}
    day = told.get("business_date")
    if day is not None and _day(day) != date:
        raise SetAsideError("ARRIVAL_OTHER_DAY", f"is of {day}, not of {date}")
    cycle = _agreed("cycle", told.get("cycle", "").upper(), cycle)
    run = _agreed("run", _digits(told.get("run", "")), run)
    side = _agreed("side", _side(ours), side)
    if not (cycle and run):
        raise SetAsideError(
            "ARRIVAL_UNKNOWN",
            "has no columns Cycle and Run, and its name is not SIDE-CYCLE-RUN.ext, such as "
            "ficc-EOD-1.csv",
        )
    if cycle not in NAMES:
        raise SetAsideError("ARRIVAL_UNKNOWN", f"{cycle[:60]!r} is not a cycle{near(cycle, NAMES)}")
    if not (run.isdecimal() and 1 <= int(run[:9]) <= MOST_RUNS):
        raise SetAsideError("ARRIVAL_UNKNOWN", f"{run[:60]!r} is not a run, from 1 to {MOST_RUNS}")
    return Arrival(name, side, Slot(NAMES.index(cycle), int(run)), given)


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]+", "", name[:60]).lower()


def _of_name(name: str) -> tuple[str, str, str]:
    """Return side, cycle and run as a file's name gives them; empty if it does not."""
    match = _NAME.fullmatch(name)
    if match is None:
        return "", "", ""
    side, cycle, run = match.groups()
    return side.upper(), cycle.upper(), _digits(run)


def _digits(text: str) -> str:
    """Return a whole number without leading zeros, and as a spreadsheet may write it."""
    return re.sub(r"^0+(?=[0-9])", "", text.strip().removesuffix(".0"))


def _one(column: pa.ChunkedArray, name: str) -> str:
    """Return the only value of a column, as text."""
    plain = columns.plain(column)
    if pa.types.is_timestamp(plain.type):
        plain = plain.cast(pa.date32(), safe=False)
    texts = pc.utf8_trim_whitespace(plain.cast(pa.string()).fill_null(columns.scalar("")))
    values = [value for value in pc.unique(texts).to_pylist() if value]
    if len(values) > 1:
        first, second = values[:2]
        raise SetAsideError(
            "ARRIVAL_CONTRADICTS",
            f"column `{name}` has {first[:60]!r} and {second[:60]!r}; give a file for each",
        )
    return values[0] if values else ""


def _day(text: str) -> np.datetime64:
    for form in _DAYS:
        with suppress(ValueError):
            return np.datetime64(datetime.datetime.strptime(text, form).date(), "D")
    raise SetAsideError("ARRIVAL_UNKNOWN", f"column `BusDate` is {text[:60]!r}, which is no day")


def _agreed(what: str, inside: str, of_name: str) -> str:
    """Return what the content says, or else the name; refuse two that differ."""
    if inside and of_name and inside != of_name:
        raise SetAsideError(
            "ARRIVAL_CONTRADICTS",
            f"its name says {what} {of_name[:60]}, its content {inside[:60]}; give it its own name",
        )
    return inside or of_name


def _side(table: pa.Table) -> str:
    """Return the side that a table's rows are of."""
    kind = next((name for name in table.column_names if _plain(name) == "kind"), None)
    if kind is None:
        told = ", ".join(f"`{name[:40]}`" for name in table.column_names[:12])
        raise SetAsideError(
            "ARRIVAL_UNKNOWN", f"has no column `kind`, and no known layout; it has {told}"
        )
    texts = pc.unique(columns.plain(table[kind]).cast(pa.string()).combine_chunks()).to_pylist()
    kinds = {text.strip().lower() for text in texts if text} & {*POSITION_KINDS}
    sides = {FUTURES if each == "future" else FICC for each in kinds}
    if not sides:
        raise SetAsideError("ARRIVAL_UNKNOWN", "has no row of a position")
    if len(sides) > 1:
        raise SetAsideError(
            "ARRIVAL_CONTRADICTS",
            "has positions at FICC and futures; give a file for each",
        )
    return sides.pop()


def sort_out(
    arrivals: Iterable[Arrival],
    played: Mapping[Slot, Mapping[str, str]],
    log: ExceptionLog,
) -> dict[Slot, dict[str, Arrival]]:
    """Return the files that count for each run of a cycle.

    Parameters
    ----------
    arrivals : iterable of Arrival
        In the order of their names.
    played : mapping of Slot to mapping of str to str
        The hashes of each side that runs of cycles were begun with.
    log : ExceptionLog
        Takes the files that do not count: repeated ones, those of other content for one run, and
        those for a run before one that has been played.

    Returns
    -------
    dict of Slot to dict of str to Arrival
        By side; ascending.
    """
    groups: dict[tuple[Slot, str], list[Arrival]] = {}
    for arrival in arrivals:
        groups.setdefault((arrival.slot, arrival.side), []).append(arrival)
    last = max((slot.key for slot in played), default=None)
    cycles = {slot.cycle for slot in played}
    found: dict[Slot, dict[str, Arrival]] = {}
    for (slot, side), group in sorted(
        groups.items(), key=lambda item: (item[0][0].key, item[0][1])
    ):
        if slot not in played and last is not None and slot.key < last:
            for arrival in group:
                too_late(arrival, cycles, log)
            continue
        counts = _counting(slot, side, group, played, log)
        if counts is not None:
            found.setdefault(slot, {})[side] = counts
    _note_unchanged(found, log)
    return found


def _counting(
    slot: Slot,
    side: str,
    group: list[Arrival],
    played: Mapping[Slot, Mapping[str, str]],
    log: ExceptionLog,
) -> Arrival | None:
    """Return the file that counts for one side of a run; log the others."""
    if slot in played:
        digest = played[slot].get(side)
        others = [arrival for arrival in group if arrival.hash != digest]
        why = f"{slot} was already played with other content"
    else:
        others = [] if len({arrival.hash for arrival in group}) == 1 else group
        told = ", ".join(arrival.name for arrival in group)
        why = f"for {slot} several files arrived ({told}) that differ; keep the right one"
    _log_all("ARRIVAL_AMBIGUOUS", others, why, log)
    same = [arrival for arrival in group if arrival not in others]
    for again in same[1:]:
        _log_all("ARRIVAL_REPEATED", [again], f"is the same as {same[0].name}, which counts", log)
    return same[0] if same else None


def too_late(arrival: Arrival, played: Set[Cycle], log: ExceptionLog) -> None:
    """Log a file that comes too late for its cycle, or came before the rest of it did.

    Parameters
    ----------
    arrival : Arrival
    played : set of Cycle
        The cycles of which some run was begun.
    log : ExceptionLog
    """
    slot = arrival.slot
    if slot.cycle in played:
        why = f"is for {slot}, and a later cycle was already played"
        _log_all("ARRIVAL_OLD", [arrival], why, log)
        return
    why = f"is for {slot}, and no {slot.cycle.name} was played: files were missing when a later "
    why += "cycle was"
    if BOOKINGS in slot.cycle.steps:
        why += "; no transfers are booked. Choose them with `crossmargin optimise`, and give "
        why += "futures with them for another run of the later cycle"
    _log_all("CYCLE_MISSED", [arrival], why, log)


def _note_unchanged(found: Mapping[Slot, Mapping[str, Arrival]], log: ExceptionLog) -> None:
    """Note files that count for one run and have the content of an earlier one."""
    for side in SIDES:
        seen: dict[str, Arrival] = {}
        for sides in found.values():
            if side in sides:
                arrival = sides[side]
                first = seen.setdefault(arrival.hash, arrival)
                if first is not arrival:
                    told = f"has the same content as {first.name}; it counts"
                    _log_all("ARRIVAL_REPEATED", [arrival], told, log)


def _log_all(code: str, arrivals: Iterable[Arrival], why: str, log: ExceptionLog) -> None:
    for arrival in arrivals:
        log.add(code, file=f"{FOLDER}/{arrival.name}", message=f"{arrival.name}: {why}")
