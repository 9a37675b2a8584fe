"""A summary of a run for the terminal, or as plain text. Needs the extra `cli`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console, Group
from rich.table import Table as Grid
from rich.text import Text

from crossmargin import columns
from crossmargin.book.observed_margins import is_stale
from crossmargin.exceptions import CODES, SEVERITIES
from crossmargin.report.console import new_grid
from crossmargin.results.table import ZERO, Table

TOP = 10
"""Accounts in each list, and rejected rows after a run."""
CHECKED = 100
"""Rejected rows that a check lists."""
HEAD = (
    *("CURVE_EARLIER", "STRESS_CUT", "FIXINGS_MISSING", "FILE_REPEATED", "INPUT_REPEATED"),
    *("SPREADS_FEW", "OBSERVED_STALE", "OBSERVED_NOT_USED"),
)
"""Codes of the notes on whole inputs that the head of a summary shows."""
OF_BASKETS = ("BASKET_", "CHEAPEST_")
"""How the codes of notes on delivery baskets begin."""
TOO_MUCH, NO_SPREAD = "*", "+"
CAVEATS = {
    TOO_MUCH: "saving likely too much: a future moves without its basis in most scenarios",
    NO_SPREAD: "spread risk not modelled: short-rate futures move without SOFR swap rates",
}


class Summarised(Protocol):
    """What a summary needs from a run."""

    @property
    def accounts(self) -> Table:
        """A row for each account."""

    @property
    def exceptions(self) -> Table:
        """What was rejected, reassigned, unpriced or noted."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What was run, on what, and how."""


def print_summary(run: Summarised, out: Path, console: Console) -> None:
    """Print the biggest requirements and savings, exceptions by kind, and where the files are.

    Parameters
    ----------
    run
        The run.
    out
        The directory it was written to.
    console
        Where to print.
    """
    accounts = run.accounts.to_arrow()
    head = (
        *_headline(run.manifest, accounts),
        *_share(run.manifest),
        *_totals(accounts, out),
        *_outrights(run.manifest),
        *notes_on_inputs(run.exceptions.to_arrow()),
        *_assumed(run.exceptions.to_arrow()),
        *_baskets(run.exceptions.to_arrow()),
    )
    for line in head:
        console.print(line, soft_wrap=True)
    console.print()
    console.print(_requirements(accounts, console))
    console.print()
    savings = _savings(accounts, console)
    console.print(savings if savings else Text("No account saves anything."))
    console.print()
    print_exceptions(run.exceptions.to_arrow(), console)
    console.print(Text(f"Files: {out}"), soft_wrap=True)
    console.print(Text("  " + ", ".join(sorted(path.name for path in out.iterdir()))))


def print_check(
    source: Mapping[str, Mapping[str, Any]], exceptions: pa.Table, console: Console
) -> None:
    """Print what was read, what a run would set aside, and the notes.

    Parameters
    ----------
    source
        What a manifest says of each input.
    exceptions
        The exceptions from reading them.
    console
        Where to print.
    """
    grid = new_grid(console, "Inputs")
    grid.add_column("input")
    grid.add_column("rows", justify="right")
    grid.add_column("other columns")
    for name, described in source.items():
        rows = described.get("rows_read")
        more = ", ".join(described.get("extra_columns", ()))
        grid.add_row(name, "" if rows is None else f"{rows:,}", Text(more))
    console.print(grid)
    console.print()
    print_exceptions(exceptions, console, most=CHECKED)
    notes = exceptions.filter(
        pc.and_(pc.equal(exceptions["severity"], "note"), exceptions["row"].is_null())
    )
    for note in notes.to_pylist():
        console.print(Text(f"{note['file']}: {note['message']}"), soft_wrap=True)


def print_comparison(
    table: pa.Table,
    names: tuple[str, str],
    manifests: tuple[Mapping[str, Any], Mapping[str, Any]],
    inputs: list[str],
    console: Console,
) -> None:
    """Print how two runs differ: totals, counts, and the largest differences.

    Parameters
    ----------
    table
        From `crossmargin.compare`.
    names
        A name for each run, such as the directory of its results.
    manifests
        The manifests of the runs.
    inputs
        Names of the inputs that differ.
    console
        Where to print.
    """
    for mark, name, manifest in zip("AB", names, manifests, strict=True):
        policy = manifest["policy"]["name"]
        line = f"{mark}  {name}: as of {manifest['as_of']}, cycle {manifest['cycle']}, {policy}"
        curve = manifest.get("market", {}).get("curve_date", manifest["as_of"])
        if curve != manifest["as_of"]:
            line += f", curve of {curve}"
        if "offset_rates" in manifest:
            line += f", offset rates given: {manifest['offset_rates']['source']}"
        console.print(Text(line), soft_wrap=True)
    console.print(Text(f"  inputs that differ: {', '.join(inputs) or 'none'}"))
    both = table.filter(table["only_in"].is_null())
    known = both.filter(both["requirement_difference"].is_valid())
    parts = [f"{len(both):,} accounts in both, {len(known):,} with both requirements known"]
    for mark in "ab":
        count = pc.sum(pc.equal(table["only_in"], mark)).as_py() or 0
        parts.append(f"{count:,} only in {mark.upper()}")
    console.print(Text("  " + ", ".join(parts)))
    marks = ["".join(_carried(known, f"_{end}")) for end in "ab"] + [""]
    for name in ("requirement", "saving"):
        sums = [pc.sum(known[f"{name}_{end}"]).as_py() or Decimal(0) for end in _ENDS]
        of = [_usd(total) + mark for total, mark in zip(sums, marks, strict=True)]
        console.print(Text(f"  {name}, USD: {of[0]} in A, {of[1]} in B, difference {of[2]}"))
    for mark, text in CAVEATS.items():
        if any(mark in of_run for of_run in marks):
            console.print(Text(f"  {mark} {text}"))
    changed = known.filter(pc.not_equal(known["requirement_difference"], ZERO))
    console.print()
    if not len(changed):
        console.print("No requirement differs.")
        return
    size = pc.abs(changed["requirement_difference"])
    rows = _top(changed.append_column("size", size), "size")
    grid = new_grid(console, f"Largest differences of {len(changed):,}, USD")
    grid.add_column("account")
    for name in ("requirement A", "requirement B", "difference", "offset rate A", "offset rate B"):
        grid.add_column(name, justify="right")
    for name in ("reason A", "reason B"):
        grid.add_column(name)
    for row in rows:
        grid.add_row(
            Text(row["account"]),
            _usd(row["requirement_a"]) + marks_of(row, "_a"),
            _usd(row["requirement_b"]) + marks_of(row, "_b"),
            _usd(row["requirement_difference"]),
            _percent(row["offset_rate_a"]),
            _percent(row["offset_rate_b"]),
            row["reason_a"] or "",
            row["reason_b"] or "",
        )
    console.print(_explained(grid, [marks_of(row, end) for row in rows for end in ("_a", "_b")]))


_ENDS = ("a", "b", "difference")


def _headline(manifest: Mapping[str, Any], accounts: pa.Table) -> tuple[Text, Text]:
    text = Text(f"Cross-margin run as of {manifest.get('as_of', '?')}")
    if manifest.get("cycle"):
        text.append(f", cycle {manifest['cycle']}")
    text.append(f": {_counted(len(accounts))}")
    if manifest.get("synthetic"):
        text.append("   SYNTHETIC: made-up market and book", style="bold yellow")
    policy = manifest["policy"]
    rules = Text(f"  policy {policy['name']}")
    if policy["effective_from"] > manifest["as_of"]:
        rules.append(f": in force from {policy['effective_from']}, after this day", style="yellow")
    return text, rules


def _share(manifest: Mapping[str, Any]) -> list[Text]:
    """Return how many of the given rows and accounts the figures rest on."""
    lines = []
    if "rows" in manifest:
        rows = manifest["rows"]
        line = f"  {rows['used']:,} of {rows['read']:,} rows of positions used"
        lines.append(Text(line, style="bold" if rows["used"] < rows["read"] else ""))
    if manifest.get("accounts", {}).get("without_positions"):
        idle = manifest["accounts"]["without_positions"]
        lines[-1].append(f"; {_counted(idle)} without positions")
    return lines


def notes_on_inputs(exceptions: pa.Table) -> list[Text]:
    """Return the first note of each kind on each whole input."""
    lines = []
    for code in HEAD:
        noted = exceptions.filter(pc.equal(exceptions["code"], columns.scalar(code))).to_pylist()
        first = {note["file"]: note for note in reversed(noted)}
        for file, note in reversed(first.items()):
            count = sum(other["file"] == file for other in noted)
            more = f" (and {count - 1} more)" if count > 1 else ""
            lines.append(Text(f"  {file}: {note['message']}{more}", style="yellow"))
    return lines


def _assumed(exceptions: pa.Table) -> list[Text]:
    """Return the note on futures whose basis is assumed, if there is one."""
    noted = exceptions.filter(pc.equal(exceptions["code"], columns.scalar("BASIS_ASSUMED")))
    return [Text(f"  {note['message']}", style="yellow") for note in noted.to_pylist()]


def _baskets(exceptions: pa.Table) -> list[Text]:
    """Return a line that counts the notes on delivery baskets by code, if there are any."""
    noted = pa.concat_tables(
        exceptions.filter(pc.starts_with(exceptions["code"], start)) for start in OF_BASKETS
    )
    if not len(noted):
        return []
    contracts: dict[str, list[str]] = {}
    for code, name in zip(noted["code"].to_pylist(), noted["instrument"].to_pylist(), strict=True):
        contracts.setdefault(code, []).append(name)
    told = "; ".join(f"{code} {', '.join(contracts[code])}" for code in CODES if code in contracts)
    return [Text(f"  baskets of futures: {told}", style="yellow")]


def _totals(accounts: pa.Table, out: Path) -> list[Text]:
    """Return the lines on all accounts: counts by status, sums of known amounts, caveats."""
    counted = accounts["status"].value_counts().to_pylist()
    status = ", ".join(f"{c['counts']:,} {c['values']}" for c in counted)
    lines = [Text(f"  {status} of {_counted(len(accounts))}")]
    names = ("standalone_requirement", "requirement", "saving")
    known = pc.and_(
        pc.and_(*(accounts[name].is_valid() for name in names[:2])), accounts["saving"].is_valid()
    )
    full = accounts.filter(known)
    sums = [pc.sum(full[name]).as_py() or Decimal(0) for name in names]
    carried = _carried(full)
    marks = "".join(carried)
    lines.append(
        Text(
            f"  without the programme {_usd(sums[0])} USD, with it {_usd(sums[1])}{marks}, "
            f"saving {_usd(sums[2])}{marks}"
        )
    )
    lines += [
        Text(f"  {mark} {_counted(count)}: {CAVEATS[mark]}") for mark, count in carried.items()
    ]
    unused = accounts.filter(pc.greater(accounts["unused_saving"], ZERO))
    if len(unused):
        lines.append(
            Text(
                f"  unused saving: at least {_usd(pc.sum(unused['unused_saving']).as_py())} USD in "
                f"{_counted(len(unused))}; `crossmargin optimise --results "
                f"{shlex.quote(str(out))}` says which futures to move"
            )
        )
    if len(full) < len(accounts):
        apart = _counted(len(accounts) - len(full))
        lines.append(Text(f"  not in these sums: {apart} with positions that no model prices"))
    rejected = int(np.count_nonzero(columns.integers(accounts["rows_rejected"])))
    if rejected:
        lines.append(Text(f"  too low: {_counted(rejected)} with rejected rows", style="bold"))
    return lines


def _outrights(manifest: Mapping[str, Any]) -> list[Text]:
    """Return a line for each clearing house whose model is compared with observed margins."""
    lines = []
    as_of = np.datetime64(manifest["as_of"])
    for ccp, described in manifest.get("ccps", {}).items():
        known = [row for row in described.get("observed_margins", ()) if row["ratio"] is not None]
        if not known:
            continue
        told = ", ".join(
            f"{row['instrument']} {row['ratio']:.2f}"
            + (f" (of {row['date']})" if is_stale(np.datetime64(row["date"]), as_of) else "")
            for row in known
        )
        first, last = (end(row["date"] for row in known) for end in (min, max))
        since = last if first == last else f"{first} to {last}"
        line = f"  {ccp} model over actual maintenance: {told} (as of {since})"
        scaled = [row["instrument"] for row in known if row["factor"] != 1.0]
        if scaled:
            line += f"; scaled to the actual: {', '.join(scaled)}"
        lines.append(Text(line))
    return lines


def _requirements(accounts: pa.Table, console: Console) -> Group:
    rows = _top(accounts, "requirement")
    grid = new_grid(console, "Largest requirements, USD")
    for name in ("account", "status"):
        grid.add_column(name)
    # A column of zeros would take room from the others.
    elsewhere = any(row["other_ccps"] != 0 for row in rows)
    at = ("at FICC", "at CME", *(("at others",) if elsewhere else ()))
    for name in ("requirement", *at, "saving", "offset rate"):
        grid.add_column(name, justify="right")
    grid.add_column("binding or reason")
    for row in rows:
        grid.add_row(
            Text(row["account"]),
            row["status"],
            _usd(row["requirement"]) + marks_of(row),
            _usd(_plus(row["requirement_ficc"], row["other_ficc"])),
            _usd(_plus(row["requirement_cme"], row["other_cme"])),
            *((_usd(row["other_ccps"]),) if elsewhere else ()),
            _usd(row["saving"]) + marks_of(row),
            _percent(row["offset_rate"]),
            decided_by(row),
        )
    return _explained(grid, map(marks_of, rows))


def _savings(accounts: pa.Table, console: Console) -> Group | None:
    rows = [row for row in _top(accounts, "saving") if row["saving"] > 0]
    if not rows:
        return None
    grid = new_grid(console, "Largest savings, USD")
    grid.add_column("account")
    for name in ("standalone", "requirement", "saving", "offset rate"):
        grid.add_column(name, justify="right")
    grid.add_column("binding or reason")
    for row in rows:
        grid.add_row(
            Text(row["account"]),
            _usd(row["standalone_requirement"]),
            _usd(row["requirement"]) + marks_of(row),
            _usd(row["saving"]) + marks_of(row),
            _percent(row["offset_rate"]),
            decided_by(row),
        )
    return _explained(grid, map(marks_of, rows))


def print_exceptions(exceptions: pa.Table, console: Console, most: int = TOP) -> None:
    """Print how many exceptions of each kind there are, and the first rejected rows.

    Parameters
    ----------
    exceptions
        The exceptions.
    console
        Where to print.
    most
        Rejected rows to print at most.
    """
    if not len(exceptions):
        console.print("No exceptions.")
        return
    counts = {c["values"]: c["counts"] for c in exceptions["code"].value_counts().to_pylist()}
    grid = new_grid(console, "Exceptions")
    for name in ("severity", "code"):
        grid.add_column(name)
    grid.add_column("count", justify="right")
    grid.add_column("meaning")
    for severity in SEVERITIES:
        for code, described in CODES.items():
            if code in counts and described.severity == severity:
                grid.add_row(severity, code, f"{counts[code]:,}", described.meaning)
    console.print(grid)
    console.print()
    rejected = exceptions.filter(pc.equal(exceptions["severity"], columns.scalar("rejected")))
    if len(rejected):
        first = f" (the first {most} of {len(rejected):,})" if len(rejected) > most else ""
        console.print(Text(f"Rejected rows{first}"))
        for row in rejected.slice(0, most).to_pylist():
            line = f"  {row['file']}, row {row['row']}: {row['message']}"
            console.print(Text(line + account_of(row)), soft_wrap=True)
        console.print()


def account_of(row: Mapping[str, Any]) -> str:
    """Return the account of an exception, to follow its message if that does not name it."""
    told = f"account {row['account']}"
    return "" if row["account"] is None or told in row["message"] else f" ({told})"


def _top(accounts: pa.Table, name: str) -> list[dict[str, Any]]:
    """Return the rows with the largest values; equal ones stay in the table's order."""
    known = len(accounts) - accounts[name].null_count
    # Nulls come last.
    order = pc.sort_indices(accounts.select([name]), sort_keys=[(name, "descending")])
    rows: list[dict[str, Any]] = accounts.take(order[: min(TOP, known)]).to_pylist()
    return rows


def _carried(accounts: pa.Table, end: str = "") -> dict[str, int]:
    """Return how many accounts carry each mark, without marks that none carries."""
    spread = accounts[f"spread_risk{end}"]
    count = {
        TOO_MUCH: int(np.count_nonzero(columns.flags(accounts[f"saving_is_upper_bound{end}"]))),
        NO_SPREAD: len(accounts) - spread.null_count,
    }
    return {mark: number for mark, number in count.items() if number}


def marks_of(row: Mapping[str, Any], end: str = "") -> str:
    """Return the marks of the caveats on a row's figures."""
    marks = TOO_MUCH if row[f"saving_is_upper_bound{end}"] else ""
    return marks + (NO_SPREAD if row[f"spread_risk{end}"] else "")


def _explained(grid: Grid, marks: Iterable[str]) -> Group:
    """Return a list, and below it a line on each mark that it has."""
    return Group(grid, *meanings(marks))


def meanings(marks: Iterable[str]) -> list[Text]:
    """Return a line on each mark that is used."""
    used = set("".join(marks))
    return [Text(f"{mark} {CAVEATS[mark]}") for mark in CAVEATS if mark in used]


def _plus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


def _counted(accounts: int) -> str:
    return f"{accounts:,} account{'' if accounts == 1 else 's'}"


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:,.0f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def decided_by(row: Mapping[str, Any]) -> str:
    """Return what decides the offset rate: the ccp with the smaller saving, or the reason."""
    parts = [row["binding"] or row["reason"] or "", "capped" if row["capped"] else ""]
    return ", ".join(part for part in parts if part)
