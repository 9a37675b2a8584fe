"""Play a day: do the steps for which everything has arrived, and record each in the ledger."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.calculation.result import RunResult
from crossmargin.conventions import CME, FICC
from crossmargin.cycles.calls import calls
from crossmargin.cycles.day import steps
from crossmargin.cycles.day.arrivals import FOLDER, Arrival, sort_out, too_late
from crossmargin.cycles.day.folder import EXCEPTIONS, PLAN, STEPS, Folder
from crossmargin.cycles.day.inputs import DEPOSITS, DayInputs, run_id_of
from crossmargin.cycles.day.plan import (
    ALLOCATION,
    BOOKINGS,
    CALLS,
    CYCLES,
    DIRECTORIES,
    FUTURES,
    NAMES,
    POSITIONS,
    SAVINGS,
    SIDES,
    Cycle,
    DayPlan,
    Slot,
    late_houses,
)
from crossmargin.cycles.fallback import apply_fallback, fallback_rules, fallbacks
from crossmargin.cycles.ledger import Ledger
from crossmargin.cycles.lock import held
from crossmargin.cycles.step import Step, as_json, hash_of
from crossmargin.engine.execution import Progress
from crossmargin.exceptions import (
    SCHEMA,
    ExceptionLog,
    InputError,
    InputWarning,
    rows_rejected,
    without_repeats,
)
from crossmargin.io.tables import Given
from crossmargin.market.calendars import FIRST_DATE, LAST_DATE, is_business_day
from crossmargin.optimise.allocation import allocate
from crossmargin.policies.sections.cycles import LAST_GOOD_FACTOR
from crossmargin.results.table import Table
from crossmargin.version import __version__


@dataclass(frozen=True)
class PlayedDay:
    """What was played of a day, and what is still to come.

    Attributes
    ----------
    date : datetime64[D]
    steps : Table
        Every step that is done, in order: cycle, run, step, `now` (whether this call did it), and
        what it made (null for an earlier call).
    waits : tuple of str
        What the day waits for.
    exceptions : Table
        Arrived files that were set aside, and notes.
    noted : Table
        What the steps of this call say of rows and inputs: `step`, a directory, and the columns of
        exceptions. What several steps say of the same row is there once, of the first of them.
    rejected : int
        The rows among them that could not be used.
    ledger : Path
    synthetic : bool
        Whether the figures are made up.
    """

    date: np.datetime64
    steps: Table
    waits: tuple[str, ...]
    exceptions: Table
    noted: Table
    rejected: int
    ledger: Path
    synthetic: bool

    def __repr__(self) -> str:
        """Return how far the day is, as text."""
        now = sum(self.steps["now"].to_pylist())
        return (
            f"<PlayedDay {self.date}: {len(self.steps)} steps done, {now} of them now; "
            f"waits for {len(self.waits)}>"
        )

    def _repr_html_(self) -> str:
        """Return the steps and the exceptions."""
        waits = "".join(f"<li>{escape(text)}</li>" for text in self.waits)
        return (
            f"<p>{escape(repr(self))}</p>{self.steps._repr_html_()}<ul>{waits}</ul>"
            f"{self.exceptions._repr_html_() if len(self.exceptions) else ''}"
        )


def play_day(
    folder: str | Path,
    *,
    ledger: str | Path | None = None,
    late: str | Sequence[str] = (),
    steps: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> PlayedDay:
    """Play what has arrived of a day and is not done yet.

    Each step writes its directory, `steps/CYCLE-RUN/N-STEP`, whole or not at all, and is done once
    its record is in the ledger. Stopped at any point and started again, the day goes on, and
    nothing is booked twice.

    Parameters
    ----------
    folder : str or Path
        The folder of the day: `day.toml`, the static inputs, and `arrivals`.
    ledger : str or Path, optional
        The ledger, such as one for many days. Default: `ledger.duckdb` in the folder.
    late : str or sequence of str
        FICC, CME or both: their figures are late for the cycles that this call plays. The policy's
        fallback stands in for them. `day.toml` can say it by cycle.
    steps : int, optional
        Stop after so many steps.
    threads : int, optional
        Default: as many as the process may use. The results do not depend on it.
    progress : callable, optional
        Called with the name of each step and the share done.

    Returns
    -------
    PlayedDay

    Raises
    ------
    InputError
        The folder, `day.toml`, a static input or the ledger cannot be used; another process plays
        the day, or writes to the ledger; or an input of a cycle that was begun has changed.

    Examples
    --------
    >>> day = play_day("day")  # doctest: +SKIP
    >>> day.waits  # doctest: +SKIP
    ('CUR-1: futures',)
    """
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 0):
        raise TypeError(f"steps: a whole number from 0 expected, got {steps!r:.40}")
    missing = late_houses([late] if isinstance(late, str) else list(late), "late")
    place = Folder(folder)
    with held(place.lock, str(place.path)):
        place.recover()
        plan = place.plan()
        with Ledger(ledger or place.ledger, write=True) as book:
            return _Player(
                place,
                plan,
                book,
                late=missing,
                most=steps,
                threads=threads,
                progress=progress,
            ).play()


@dataclass(frozen=True)
class _Record:
    """What the ledger says of a step that is done."""

    policy_hash: str
    version: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    late: tuple[str, ...]


@dataclass(frozen=True)
class _Sources:
    """The positions of a run of a cycle.

    Attributes
    ----------
    ficc, futures : Arrival
    booked : dict of str to Given
        What was booked since the futures arrived, if they are an earlier cycle's.
    moved : dict of str to Given
        What was booked before they arrived, to be found in them.
    """

    ficc: Arrival
    futures: Arrival
    booked: Mapping[str, Given]
    moved: Mapping[str, Given]

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each."""
        return {
            FICC.lower(): self.ficc.hash,
            FUTURES.lower(): self.futures.hash,
            **{f"booked in {slot}": given.hash for slot, given in self.booked.items()},
        }


class _Work:
    """The work on one run of a cycle: what several steps need is made once.

    Parameters
    ----------
    inputs : DayInputs
    ledger : Ledger
    date : datetime64[D]
    slot : Slot
    sources : _Sources
    late : tuple of str
        The clearing houses whose figures are late.
    options : mapping
        Of the allocation.
    threads : int, optional
    """

    def __init__(
        self,
        inputs: DayInputs,
        ledger: Ledger,
        date: np.datetime64,
        slot: Slot,
        sources: _Sources,
        late: tuple[str, ...],
        options: Mapping[str, Any],
        threads: int | None,
    ) -> None:
        self.inputs, self.slot, self.sources, self.late = inputs, slot, sources, late
        self._ledger, self._date, self._threads = ledger, date, threads
        self._options = {"quick": True, **options}

    def hashes(self, step: str) -> dict[str, str]:
        """Return the SHA-256 of every input of a step."""
        static = self.inputs.hashes
        needed = {name: static[name] for name in static if name != DEPOSITS or step == CALLS}
        return {**self.sources.hashes, **needed, **self._decided_by}

    @property
    def _decided_by(self) -> dict[str, str]:
        """The SHA-256 of the options of the cycle, if it has any."""
        if ALLOCATION not in self.slot.cycle.steps:
            return {}
        return {"allocation options": hash_of(as_json(self._options))}

    @cached_property
    def run(self) -> RunResult:
        """The margin of the cycle's book, by the models."""
        cycle = self.slot.cycle.name
        files = [self.sources.ficc.given, self.sources.futures.given]
        files += [given for given in self.sources.booked.values() if len(given.table)]
        policy = self.inputs.policy
        run_id = run_id_of(
            str(self._date), cycle, self.slot.run, self.hashes(POSITIONS), policy.hash
        )
        return self.inputs.run(files, cycle, run_id, self._threads)

    @cached_property
    def last_good(self) -> pa.Table:
        """Each account's last offset rate that both clearing houses gave; empty if none did."""
        before = (self._date, self.slot.cycle.name, self.slot.run)
        return self._ledger.last_good(before=before).to_arrow()

    @cached_property
    def agreed(self) -> RunResult:
        """The same with the fallback's offset rates, if a clearing house is late."""
        if not self.late:
            return self.run
        good = self.last_good if self.rule == LAST_GOOD_FACTOR else None
        return apply_fallback(self.run, late=self.late, last_good=good)

    @property
    def rule(self) -> str | None:
        """The fallback's rule, if a clearing house is late."""
        return fallback_rules(self.run).rule if self.late else None

    def run_id(self, step: str) -> str:
        """Return the id of the run behind a step."""
        made = self.agreed if step in (SAVINGS, CALLS) else self.run
        return str(made.manifest["run_id"])

    def made(self, step: str) -> steps.Made:
        """Return what a step makes."""
        number = self.slot.run
        if step == POSITIONS:
            return steps.positions(self.run, number, self.not_booked().table())
        if step == ALLOCATION:
            found = allocate(self.run, **self._options, threads=self._threads)
            return steps.allocation(found)
        if step == BOOKINGS:
            # As recorded, not found again: what is booked is what was decided.
            decided = self._ledger.recorded(
                "transfers", day=self._date, cycle=self.slot.cycle.name, run=number
            )
            return steps.booked(decided, self.run, self.inputs.prices())
        if step == SAVINGS:
            table = None
            if self.late:
                table = fallbacks(self.run, late=self.late, last_good=self.last_good).to_arrow()
            return steps.savings(self.agreed, number, self._before(self._ledger.savings), table)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # the exceptions say it
            called = calls(
                self.agreed,
                deposits=self.inputs.deposits,
                columns=self.inputs.columns,
                threads=self._threads,
            )
        return steps.calls(called, self._before(self._ledger.calls))

    def _before(self, read: Callable[..., Table]) -> pa.Table | None:
        """Return the rows of the last run of the cycle that this one adjusts, if it does."""
        if self.slot.cycle.adjusts is None:
            return None
        rows = read(day=self._date, cycle=self.slot.cycle.adjusts).to_arrow()
        return rows.filter(pc.equal(rows["run"], pc.max(rows["run"])))

    def not_booked(self) -> ExceptionLog:
        """Return a log of the transfers booked earlier that the futures do not have."""
        log = ExceptionLog()
        name = self.sources.futures.name
        moved = {slot: given.table for slot, given in self.sources.moved.items()}
        found = steps.not_booked(moved, self.run)
        log.add(
            NOT_BOOKED,
            file=f"{FOLDER}/{name}",
            account=found["account"],
            instrument=found["instrument"],
            message=found["message"],
        )
        return log


class _Player:
    """Plays one folder.

    Parameters
    ----------
    folder : Folder
    plan : DayPlan
    ledger : Ledger
    late : tuple of str
        The clearing houses whose figures are late in the cycles of this call.
    most : int, optional
        The most steps to do.
    threads : int, optional
    progress : callable, optional
    """

    def __init__(
        self,
        folder: Folder,
        plan: DayPlan,
        ledger: Ledger,
        *,
        late: tuple[str, ...],
        most: int | None,
        threads: int | None,
        progress: Progress | None,
    ) -> None:
        self._folder, self._plan, self._ledger = folder, plan, ledger
        self._late, self._most, self._threads = late, most, threads
        self._progress = progress
        self._log = ExceptionLog()
        self._done = _records(ledger, plan)
        self._said: dict[tuple[Slot, str], str] = {}
        self._waits: dict[Slot, str] = {}
        self._noted: list[pa.Table] = []
        self._late_used = False

    def play(self) -> PlayedDay:
        """Do what can be done."""
        self._folder.check_day(self._plan.date)
        self._check_recorded()
        self._check_written()
        arrivals = self._folder.arrivals(self._plan, self._log)
        begun = {slot: _sides_of(records) for slot, records in self._done.items()}
        arrived = sort_out(arrivals, begun, self._log)
        for slot in sorted({*arrived, *self._done}, key=lambda slot: slot.key):
            if not self._play(slot, arrived):
                break
        self._look_ahead(arrived)
        self._note_passed({arrival.slot.cycle for arrival in arrivals})
        self._note_not_booked()
        self._note_the_call()
        exceptions = self._log.table()
        noted = without_repeats(pa.concat_tables([_of_step(EMPTY, ""), *self._noted]))
        self._folder.write_exceptions(exceptions)
        return PlayedDay(
            date=self._plan.date,
            steps=Table(self._table()),
            waits=tuple(f"{slot}: {text}" for slot, text in self._waits.items()),
            exceptions=Table(exceptions),
            noted=Table(noted),
            rejected=rows_rejected(noted),
            ledger=self._ledger.path,
            synthetic=self._inputs.market.synthetic,
        )

    @cached_property
    def _inputs(self) -> DayInputs:
        return self._folder.inputs(self._plan)

    def _check_recorded(self) -> None:
        """Refuse a folder whose steps another ledger has: they would be played and written anew.

        The next step of a run may be there: it was stopped before its record.
        """
        found = self._folder.steps()
        for slot in sorted(found, key=lambda slot: slot.key):
            there = found[slot]
            todo = [step for step in slot.cycle.steps if step not in self._done.get(slot, {})]
            for step in [step for step in todo[1:] if step in there]:
                raise InputError(
                    f"{self._folder.path}: {_place(slot, step)} is there, and {self._ledger.path} "
                    f"has no record of it on {self._plan.date}; give the ledger that has it with "
                    f"--ledger, or move {STEPS}/ away to play the day anew"
                )

    def _check_written(self) -> None:
        """Note the steps whose files are no longer as they were recorded."""
        for slot, records in self._done.items():
            for step, record in records.items():
                name = self._folder.differs(slot, step, record.outputs)
                if name:
                    digest = record.outputs[name][:12]
                    self._log.add(
                        "STEP_CHANGED",
                        file=f"{_place(slot, step)}/{name}",
                        message="is missing, or is not as the ledger recorded it: put back the "
                        f"file whose SHA-256 begins with {digest}; the figures that count are "
                        "those of the ledger",
                    )

    def _play(self, slot: Slot, arrived: Mapping[Slot, Mapping[str, Arrival]]) -> bool:
        """Do the steps of a run of a cycle that can be done; False to stop there."""
        done = self._done.get(slot, {})
        todo = [step for step in slot.cycle.steps if step not in done]
        if not todo:
            return True
        sources = self._sources(slot, arrived)
        if sources is None:
            # A cycle that was begun is over before any later one begins.
            return not done
        late = self._late_for(slot)
        work: _Work | None = None
        for number, step in enumerate(todo):
            if self._most is not None and len(self._said) >= self._most:
                self._waits[slot] = f"stopped before {step}, as asked"
                return False
            if work is None:
                work = _Work(
                    *(self._inputs, self._ledger, self._plan.date, slot, sources, late),
                    *(self._plan.options, self._threads),
                )
                self._check_begun(slot, work)
            if self._progress is not None:
                self._progress(f"{slot} {step}", number / len(todo))
            self._do(work, step)
        return True

    def _do(self, work: _Work, step: str) -> None:
        """Do a step: write its directory, then its record."""
        slot, policy = work.slot, work.inputs.policy
        made = work.made(step)
        after = step in (SAVINGS, CALLS)
        late, rule = (work.late, work.rule) if after else ((), None)
        run_id, inputs = work.run_id(step), work.hashes(step)
        told = {
            "day": str(self._plan.date),
            "cycle": slot.cycle.name,
            "run": slot.run,
            "step": step,
            "run_id": run_id,
            "policy": {"name": policy.name, "hash": policy.hash},
            "synthetic": work.inputs.market.synthetic,
            "inputs": inputs,
            "late": list(late),
            "fallback": rule,
            "version": __version__,
        }
        outputs = self._folder.write(slot, step, made.files, told, self._threads)
        self._ledger.record(
            Step(
                day=self._plan.date,
                cycle=slot.cycle.name,
                run=slot.run,
                step=step,
                run_id=run_id,
                policy=policy.name,
                policy_hash=policy.hash,
                inputs=inputs,
                outputs=outputs,
                late=late,
                fallback=rule,
            ),
            made.tables,
        )
        self._done.setdefault(slot, {})[step] = _Record(
            policy.hash, __version__, inputs, outputs, late
        )
        self._said[slot, step] = made.said
        self._late_used |= step == SAVINGS and not {*self._late}.isdisjoint(work.late)
        if made.exceptions is not None:
            self._noted.append(_of_step(made.exceptions, _place(slot, step)))

    def _check_begun(self, slot: Slot, work: _Work) -> None:
        """Refuse to go on with a cycle that was begun otherwise: its steps belong together."""
        policy = work.inputs.policy
        for step, record in self._done.get(slot, {}).items():
            if record.version != __version__:
                raise InputError(
                    f"{self._folder.path}: {slot} was begun with crossmargin {record.version}, and "
                    f"this is {__version__}; go on with the earlier one until {slot} is done"
                )
            now = {"policy": policy.hash, **work.hashes(step)}
            then = {"policy": record.policy_hash, **record.inputs}
            # Money moves at any time: each step of calls takes the deposits of its time.
            for name in [*now, *(then.keys() - now.keys())]:
                if now.get(name) != then.get(name) and name != DEPOSITS:
                    one, other = (each.get(name, "none")[:12] for each in (then, now))
                    raise InputError(
                        f"{self._folder.path}: {name} changed after {slot} was begun (in step "
                        f"{step} the hash was {one}, now it is {other}); put the earlier one back "
                        f"until {slot} is done"
                    )

    def _late_for(self, slot: Slot) -> tuple[str, ...]:
        """Return whose figures are late: in a cycle that has its savings, as then."""
        record = self._done.get(slot, {}).get(SAVINGS)
        if record is not None:
            return record.late
        late = {*self._late, *self._plan.late.get(slot.cycle.name, ())}
        return tuple(ccp for ccp in (FICC, CME) if ccp in late)

    def _sources(
        self, slot: Slot, arrived: Mapping[Slot, Mapping[str, Arrival]]
    ) -> _Sources | None:
        """Return the positions of a cycle; None if it has to wait for some."""
        sides = dict(arrived.get(slot, {}))
        since: Slot | None = None
        called = dict(CALLED)
        if FUTURES not in sides and slot.cycle.name in self._plan.carried:
            since, played = self._last_futures(slot, arrived)
            if since is not None:
                sides[FUTURES] = arrived[since][FUTURES]
            elif played is not None:
                called[FUTURES] = f"the futures that {played} was played with"
        lacking = [called[side] for side in SIDES if side not in sides]
        if lacking:
            again = " that it was begun with" if slot in self._done else ""
            self._waits[slot] = f"{' and '.join(lacking)}{again}"
            return None
        adjusts = slot.cycle.adjusts
        if adjusts is not None and not self._is_done(adjusts):
            self._waits[slot] = f"{adjusts}, which it adjusts"
            return None
        before = [
            other
            for other, records in self._done.items()
            if BOOKINGS in records and other.key < slot.key
        ]
        carried = [other for other in before if since is not None and other.key >= since.key]
        return _Sources(
            sides[FICC],
            sides[FUTURES],
            {str(other): self._booked(other, steps.BOOKED) for other in carried},
            {
                str(other): self._booked(other, steps.MOVED)
                for other in before
                if other not in carried
            },
        )

    def _last_futures(
        self, slot: Slot, arrived: Mapping[Slot, Mapping[str, Arrival]]
    ) -> tuple[Slot | None, Slot | None]:
        """Return the last run before this one whose futures are there, and the last one played.

        The first is None if the second was played with later ones: they have gone or been changed
        since, and those before them would be mixed with what was booked on them.
        """
        earlier = [other for other in arrived if FUTURES in arrived[other]]
        since, played = (
            max(
                (other for other in slots if other.key < slot.key),
                key=lambda other: other.key,
                default=None,
            )
            for slots in (earlier, self._done)
        )
        if since is None or played is None or since.key > played.key:
            return since, played
        same = arrived[since][FUTURES].hash == _sides_of(self._done[played])[FUTURES]
        return (since if same else None), played

    def _is_done(self, cycle: str) -> bool:
        """Tell whether any run of a cycle is done."""
        return any(
            slot.cycle.name == cycle and records.keys() >= {*slot.cycle.steps}
            for slot, records in self._done.items()
        )

    def _booked(self, slot: Slot, name: str) -> Given:
        """Return a file of the bookings of an earlier cycle."""
        return self._folder.written(slot, BOOKINGS, name, self._done[slot][BOOKINGS].outputs[name])

    def _look_ahead(self, arrived: Mapping[Slot, Mapping[str, Arrival]]) -> None:
        """Say what later cycles wait for, and what comes too late for earlier ones."""
        last = max((slot.key for slot in self._done), default=(-1, 0))
        for slot in [slot for slot in self._waits if slot.key < last and slot not in self._done]:
            del self._waits[slot]
            for arrival in arrived[slot].values():
                too_late(arrival, {each.cycle for each in self._done}, self._log)
        there = {slot.place for slot in (*arrived, *self._done)}
        for place, cycle in enumerate(CYCLES):
            if place > last[0] and place not in there:
                sides = SIDES[:1] if cycle.name in self._plan.carried else SIDES
                self._waits[Slot(place, 1)] = " and ".join(CALLED[side] for side in sides)
        self._waits = dict(sorted(self._waits.items(), key=lambda item: item[0].key))

    def _note_passed(self, arrived: Set[Cycle]) -> None:
        """Note that transfers were not chosen, because nothing arrived for it in time."""
        last = max((slot.place for slot in self._done), default=0)
        there = arrived | {slot.cycle for slot in self._done}
        for cycle in CYCLES[:last]:
            if BOOKINGS in cycle.steps and cycle not in there:
                told = f"no {cycle.name} was played, since nothing arrived for it before a later "
                told += "cycle was; no transfers are booked"
                self._log.add("CYCLE_NOT_PLAYED", file=FOLDER, message=told)

    def _note_the_call(self) -> None:
        """Note a day that is no business day, and a late clearing house that changed nothing."""
        date = self._plan.date
        if FIRST_DATE <= date <= LAST_DATE and not is_business_day(date, "bond"):
            told = f"{date} is no business day of the bond market; check the date"
            self._log.add("DAY_NOT_BUSINESS", file=PLAN, message=told)
        if self._late and not self._late_used:
            told = f"late {' and '.join(self._late)} was not used: this call played no savings"
            self._log.add("LATE_NOT_USED", file=STEPS, message=told)

    def _note_not_booked(self) -> None:
        """Note the transfers that the futures of later cycles do not have, as their steps say."""
        booked = [slot.key for slot, records in self._done.items() if BOOKINGS in records]
        noted: set[str] = set()  # Two cycles may have been played with the same futures.
        for slot, records in self._done.items():
            digest = records[POSITIONS].outputs[EXCEPTIONS] if POSITIONS in records else None
            if digest is None or not any(key < slot.key for key in booked):
                continue
            with suppress(InputError):  # it is noted already that the file was changed
                found = self._folder.written(slot, POSITIONS, EXCEPTIONS, digest).table
                for row in found.to_pylist():
                    if row["code"] == NOT_BOOKED and row["message"] not in noted:
                        noted.add(row["message"])
                        told = {name: row[name] for name in ("file", "account", "instrument")}
                        self._log.add(NOT_BOOKED, **told, message=row["message"])

    def _table(self) -> pa.Table:
        """Return the table of the steps that are done."""
        rows = [
            (
                slot.cycle.name,
                slot.run,
                step,
                (slot, step) in self._said,
                self._said.get((slot, step)),
            )
            for slot in sorted(self._done, key=lambda slot: slot.key)
            for step in slot.cycle.steps
            if step in self._done[slot]
        ]
        cycle, run, step, now, said = zip(*rows, strict=True) if rows else ((),) * 5
        return pa.table(
            {
                "cycle": columns.cells(cycle, pa.string()),
                "run": columns.cells(run, pa.int64()),
                "step": columns.cells(step, pa.string()),
                "now": columns.cells(now, pa.bool_()),
                "made": columns.cells(said, pa.string()),
            }
        )


NOT_BOOKED = "TRANSFER_NOT_BOOKED"
CALLED = {FICC: "positions at FICC", FUTURES: "futures"}
"""What messages call the sides."""


EMPTY = pa.Table.from_batches([], SCHEMA)


def _place(slot: Slot, step: str) -> str:
    """Return the directory of a step, as messages call it."""
    return f"{STEPS}/{slot}/{DIRECTORIES[step]}"


def _of_step(exceptions: pa.Table, place: str) -> pa.Table:
    """Return the exceptions of a step with its directory."""
    cells = {name: columns.plain(exceptions[name]) for name in SCHEMA.names}
    return pa.table({"step": columns.repeated(columns.scalar(place), len(exceptions)), **cells})


def _records(ledger: Ledger, plan: DayPlan) -> dict[Slot, dict[str, _Record]]:
    """Return what the ledger has of the day."""
    done: dict[Slot, dict[str, _Record]] = {}
    for row in ledger.steps(day=plan.date).to_arrow().to_pylist():
        slot = Slot(NAMES.index(row["cycle"]), row["run"])
        late = tuple(row["late"].split(",")) if row["late"] else ()
        record = _Record(
            row["policy_hash"],
            row["version"],
            json.loads(row["inputs"]),
            json.loads(row["outputs"]),
            late,
        )
        done.setdefault(slot, {})[row["step"]] = record
    return done


def _sides_of(records: Mapping[str, _Record]) -> dict[str, str]:
    """Return the hashes of the files that a cycle was begun with, by side."""
    first = next(iter(records.values()))
    return {side: first.inputs[side.lower()] for side in SIDES if side.lower() in first.inputs}
