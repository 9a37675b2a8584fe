"""The files of a day's folder: the only module of the day that opens any."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from crossmargin.book.programme import EQUIVALENTS, MARGIN_SAVINGS
from crossmargin.book.schemas import POSITIONS
from crossmargin.cycles.day.arrivals import FOLDER, Arrival, SetAsideError, identify
from crossmargin.cycles.day.inputs import DEPOSITS, OF_THE_BOOK, OF_THE_MARKET, DayInputs
from crossmargin.cycles.day.plan import (
    DIRECTORIES,
    REQUIRED,
    STATIC,
    DayPlan,
    Slot,
    day_plan,
    near,
)
from crossmargin.engine.executor import run_blocks
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.files import MAX_TOML, parse_toml, read_file
from crossmargin.io.column_map import ColumnMap, read_column_map
from crossmargin.io.limits import MAX_BYTES
from crossmargin.io.market import read_market
from crossmargin.io.observed import report_of
from crossmargin.io.replace import flush, recover, replacing
from crossmargin.io.results import csv_bytes
from crossmargin.io.sources import read_source
from crossmargin.io.tables import Given, read_table
from crossmargin.policies import Policy, read_policy

PLAN = "day.toml"
LOCK = ".day.lock"
LEDGER = "ledger.duckdb"
EXCEPTIONS = "exceptions.csv"
STEPS = "steps"
DESCRIPTION = "step.json"
"""What a step's directory says of itself: its inputs, its policy, and the hashes of its files."""


class Folder:
    """The folder of a day.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    InputError
        There is no such folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(os.path.realpath(Path(path).expanduser()))
        if not self.path.is_dir():
            raise InputError(
                f"{path}: is no directory; give the folder of a day, with {PLAN}, its inputs and "
                f"{FOLDER}/"
            )

    @property
    def lock(self) -> Path:
        """The file that is locked while the day is played."""
        return self.path / LOCK

    @property
    def ledger(self) -> Path:
        """The ledger, if no other is given."""
        return self.path / LEDGER

    def plan(self) -> DayPlan:
        """Return the options of the day; InputError if they make no sense."""
        if not os.path.lexists(self.path / PLAN):
            raise InputError(
                f"{self.path / PLAN}: no such file; write one with a line such as "
                "date = 2026-06-10, or see `crossmargin sample --out DIR --day`"
            )
        text = read_file(self.path / PLAN, limit=MAX_TOML, label=str(self.path / PLAN))
        return day_plan(parse_toml(text, label=PLAN), PLAN)

    def policy(self, plan: DayPlan) -> Policy:
        """Return the policy: a file in the folder, or a shipped one."""
        if plan.policy is not None and (file := self.path / plan.policy).is_file():
            return read_policy(file)
        return read_policy(plan.policy)

    def static(self, plan: DayPlan) -> dict[str, Path]:
        """Return the files of the static inputs, by the name of the input.

        Raises
        ------
        InputError
            One that is needed is missing, two have the same stem, or a file's name is close to that
            of an input.
        """
        stems: dict[str, list[Path]] = {}
        for file in sorted(self.path.iterdir()):
            if file.name in (PLAN, EXCEPTIONS, LEDGER) or file.name.startswith((".", LEDGER)):
                continue
            if not file.is_dir():
                stems.setdefault(file.name.partition(".")[0], []).append(file)
        found = {name: stems[name] for name in STATIC if name in stems}
        for name, own in plan.files.items():
            found[name] = [self.path / own]
        for name, files in found.items():
            if len(files) > 1:
                told = " and ".join(file.name for file in files)
                raise InputError(f"{self.path}: {told} are both {name}; keep one")
        for name in REQUIRED:
            if name not in found:
                close = near(name, tuple(sorted(stems.keys() - found.keys())))
                meant = close if "do you mean" in close else ""
                raise InputError(f"{self.path}: has no {name}, such as {name}.csv{meant}")
        return {name: files[0] for name, files in found.items()}

    def inputs(self, plan: DayPlan) -> DayInputs:
        """Return the static inputs, read; InputError if one cannot be used."""
        files = self.static(plan)
        names, digest = self._columns(files)
        market = read_market(
            **{name: files[name] for name in OF_THE_MARKET if name in files},
            as_of=plan.date,
            columns=names,
        )
        tables = {
            name: read_table(files[name], name=name)
            for name in (*OF_THE_BOOK, DEPOSITS)
            if name in files
        }
        hashes = {name: given.hash for name, given in tables.items()}
        hashes |= {name: market.source[name]["hash"] for name in OF_THE_MARKET if name in files}
        if names is not None:
            hashes["columns"] = digest
        return DayInputs(self.policy(plan), market, tables, names, dict(sorted(hashes.items())))

    def _columns(self, files: Mapping[str, Path]) -> tuple[dict[str, Any] | None, str]:
        """Return the content of the columns file, and its hash; None if there is none."""
        if "columns" not in files:
            return None, ""
        path = files["columns"]
        text = read_file(path, limit=MAX_TOML, label=str(path))
        return parse_toml(text, label=path.name), hashlib.sha256(text).hexdigest()

    def arrivals(self, plan: DayPlan, log: ExceptionLog) -> list[Arrival]:
        """Return what has arrived, in the order of the names; log files that cannot be told.

        Hidden files are still being written, and left alone.
        """
        given, _ = self._columns(self.static(plan))
        column_map = None if given is None else read_column_map(given)
        folder = self.path / FOLDER
        try:
            names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{folder}: cannot be listed: {error}") from error
        arrived = []
        for name in names:
            try:
                arrived.append(self._arrival(folder / name, plan, column_map))
            except SetAsideError as error:
                why = self._set_aside(folder / name, error)
                log.add(why.code, file=f"{FOLDER}/{name}", message=f"{name}: {why}")
        return arrived

    def _arrival(self, path: Path, plan: DayPlan, column_map: ColumnMap | None) -> Arrival:
        label = f"{POSITIONS.name} file {path}: "
        try:
            raw = read_table(path, name=POSITIONS.name)
            given = read_source(
                raw, name=POSITIONS.name, column_map=column_map, one_of_several=True
            )
        except InputError as error:
            raise SetAsideError("ARRIVAL_UNREADABLE", str(error).removeprefix(label)) from error
        return identify(path.name, raw, given.table, plan.date)

    def _set_aside(self, path: Path, error: SetAsideError) -> SetAsideError:
        """Return why a file is set aside: another reason if it is a report that comes beside."""
        try:
            report = report_of(read_table(path, name=POSITIONS.name).table)
        except InputError:
            return error
        if report not in (EQUIVALENTS, MARGIN_SAVINGS):
            return error
        return SetAsideError(
            "ARRIVAL_NOT_PLAYED",
            f"is the exchange's {report.name}, from which nothing is played; compare it with "
            "`crossmargin reconcile`",
        )

    def directory(self, slot: Slot, step: str) -> Path:
        """Return the directory of a step."""
        return self.path / STEPS / str(slot) / DIRECTORIES[step]

    def recover(self) -> None:
        """Remove what killed processes left between the steps' directories."""
        for path in sorted((self.path / STEPS).glob("*-*")):
            for name in DIRECTORIES.values():
                recover(path / name, _foreign)
        recover(self.path / EXCEPTIONS)

    def write(
        self,
        slot: Slot,
        step: str,
        files: Mapping[str, pa.Table | bytes],
        told: Mapping[str, Any],
        threads: int | None = None,
    ) -> dict[str, str]:
        """Write the directory of a step, whole or not at all, and return the hash of each file.

        Parameters
        ----------
        slot, step
            Which step.
        files : mapping of str to pyarrow.Table or bytes
            By name; a table becomes a CSV file.
        told : mapping
            What `step.json` says besides; plain JSON.
        threads : int, optional
        """
        target = self.directory(slot, step)
        contents = [*files.items()]
        found: dict[str, str] = {}
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target, _foreign) as fresh:
                fresh.mkdir()

                def write(first: int, last: int) -> None:
                    for name, content in contents[first:last]:
                        found[name] = _write(fresh / name, content)

                # Making, hashing and writing them release the interpreter's lock.
                run_blocks(write, range(len(contents) + 1), threads=threads, unit="files")
                hashes = {name: found[name] for name in files}
                text = json.dumps({**told, "files": hashes}, indent=2, allow_nan=False) + "\n"
                described = _write(fresh / DESCRIPTION, text.encode())
                flush(fresh)
        except OSError as error:
            raise InputError(f"{target}: cannot be written: {error}") from error
        return {**hashes, DESCRIPTION: described}

    def differs(self, slot: Slot, step: str, hashes: Mapping[str, str]) -> str:
        """Return the first file of a step that is not as it was recorded; empty if all are."""
        folder = self.directory(slot, step)
        for name, digest in hashes.items():
            try:
                data = read_file(folder / name, limit=MAX_BYTES, label=name)
            except InputError:
                return name
            if hashlib.sha256(data).hexdigest() != digest:
                return name
        return ""

    def written(self, slot: Slot, step: str, name: str, digest: str) -> Given:
        """Return the table of a file that a step wrote; InputError if it has changed since."""
        path = self.directory(slot, step) / name
        given = read_table(path, name=POSITIONS.name)
        if given.hash != digest:
            raise InputError(f"{path}: is not as the ledger recorded it; put the recorded one back")
        return replace(given, ours=True)

    def write_exceptions(self, exceptions: pa.Table) -> None:
        """Write the exceptions of the day, or remove those of before if there are none."""
        target = self.path / EXCEPTIONS
        try:
            if not len(exceptions):
                with suppress(FileNotFoundError):
                    target.unlink()
                return
            with replacing(target) as fresh:
                fresh.write_bytes(csv_bytes(exceptions))
                flush(fresh)
        except OSError as error:
            raise InputError(f"{target}: cannot be written: {error}") from error


def _write(path: Path, content: pa.Table | bytes) -> str:
    """Write a file to the disk, and return its hash."""
    data = csv_bytes(content) if isinstance(content, pa.Table) else content
    path.write_bytes(data)
    flush(path)
    return hashlib.sha256(data).hexdigest()


def _foreign(folder: Path) -> list[str]:
    """Return the names in a step's directory that the step did not write."""
    try:
        said = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        ours = {DESCRIPTION, *said["files"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return sorted(name for name in os.listdir(folder) if name not in ours)
