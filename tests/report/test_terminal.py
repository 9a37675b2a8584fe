from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from crossmargin.exceptions import ExceptionLog
from crossmargin.report.terminal import print_summary
from crossmargin.results.table import Table, money


@dataclass(frozen=True)
class Run:
    accounts: Table
    exceptions: Table
    manifest: dict[str, Any] = field(default_factory=dict)


def accounts(count: int) -> pa.Table:
    """Return accounts A0, A1, ...: requirement 1,000 USD times the number, saving a tenth of it."""
    number = np.arange(count)
    cents = number * 100_000
    priced = number != 1
    return pa.table(
        {
            "account": [f"A{n}" for n in number],
            "status": ["complete"] * (count - 1) + ["incomplete"],
            "rows_rejected": np.where(number == 2, 3, 0),
            "offset_rate": 0.1 * (number > 0),
            "binding": ["FICC" if n else None for n in number],
            "capped": number == 2,
            "reason": [None if n else "ONE_SIDED" for n in number],
            "requirement_ficc": money(cents // 2),
            "requirement_cme": money(cents - cents // 2),
            "other_ficc": money(0 * cents),
            "other_cme": money(0 * cents),
            "other_ccps": money(0 * cents),
            "requirement": money(cents, priced),
            "standalone_requirement": money(cents + cents // 10, priced),
            "saving": money(cents // 10, priced),
            "unused_saving": money(0 * cents, priced),
            "saving_is_upper_bound": number == count - 1,
            "spread_risk": pa.array(["not modelled" if n == 2 else None for n in number]),
        }
    )


def summary(table: pa.Table, log: ExceptionLog, tmp_path: Path, **manifest: Any) -> str:
    (tmp_path / "accounts.parquet").touch()
    console = Console(file=io.StringIO(), width=160, highlight=False)
    policy = {"name": "own", "effective_from": "2026-04-30"}
    what = {"as_of": "2026-06-10", "policy": policy} | manifest
    print_summary(Run(Table(table), Table(log.table()), what), tmp_path, console)
    text = console.file
    assert isinstance(text, io.StringIO)
    return text.getvalue()


def test_the_policy_is_named_and_a_later_one_is_told(tmp_path: Path) -> None:
    lines = summary(accounts(2), ExceptionLog(), tmp_path).splitlines()
    assert lines[1].strip() == "policy own"
    lines = summary(accounts(2), ExceptionLog(), tmp_path, as_of="2026-04-29").splitlines()
    assert lines[1].strip() == "policy own: in force from 2026-04-30, after this day"


def test_the_model_is_set_beside_the_actual_margins(tmp_path: Path) -> None:
    def told(*rows: tuple[str, str, float | None, float]) -> str:
        names = ("instrument", "date", "ratio", "factor")
        found = [dict(zip(names, row, strict=True)) for row in rows]
        ccps = {"FICC": {}, "CME": {"observed_margins": found}}
        return summary(accounts(2), ExceptionLog(), tmp_path, ccps=ccps)

    text = told(("ZT", "2026-03-02", 0.994, 1.0), ("ZN", "2026-01-05", 1.016, 1.0))
    line = "  CME model over actual maintenance: ZT 0.99, ZN 1.02 (as of 2026-01-05 to 2026-03-02)"
    assert f"{line}\n" in text
    text = told(("ZT", "2026-03-02", 0.5, 2.0), ("ZN", "2026-01-05", None, 1.0))
    line = "  CME model over actual maintenance: ZT 0.50 (as of 2026-03-02)"
    assert f"{line}; scaled to the actual: ZT\n" in text
    text = told(("ZT", "2020-05-26", 1.77, 1.0), ("ZN", "2025-06-10", 1.0, 1.0))
    line = "  CME model over actual maintenance: ZT 1.77 (of 2020-05-26), ZN 1.00 (as of"
    assert line in text
    assert "over actual" not in told(("ZN", "2026-01-05", None, 1.0))


def test_an_assumed_basis_is_told(tmp_path: Path) -> None:
    assert "basis assumed" not in summary(accounts(2), ExceptionLog(), tmp_path)
    log = ExceptionLog()
    message = "basis assumed, not observed: ZT, ZF (give --basis or --settlements)"
    log.add("BASIS_ASSUMED", file="basis", message=message)
    head = summary(accounts(2), log, tmp_path).split("Largest requirements")[0]
    assert f"  {message}\n" in head


def test_what_is_due_elsewhere_has_a_column_where_there_is_any(tmp_path: Path) -> None:
    assert "at others" not in summary(accounts(3), ExceptionLog(), tmp_path)
    table = accounts(3)
    place = table.column_names.index("other_ccps")
    table = table.set_column(place, "other_ccps", money(np.array([0, 0, 700_00])))
    lines = summary(table, ExceptionLog(), tmp_path).splitlines()
    at = next(n for n, line in enumerate(lines) if "at others" in line)
    assert [line.split()[5] for line in lines[at + 1 : at + 3]] == ["700", "0"]


def test_the_biggest_come_first_and_only_ten(tmp_path: Path) -> None:
    text = summary(accounts(15), ExceptionLog(), tmp_path, as_of="2025-03-13", cycle="EOD")
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if "Largest requirements" in line)
    names = [line.split()[0] for line in lines[at + 2 : at + 12]]
    assert names == [f"A{n}" for n in range(14, 4, -1)]
    assert lines[at + 12].startswith("* saving likely too much")
    assert lines[at + 13] == ""
    assert "14,000" in lines[at + 2]
    assert "7,000" in lines[at + 2]  # half of it at each clearing house
    assert "as of 2025-03-13, cycle EOD: 15 accounts" in lines[0]
    assert "No exceptions." in text
    assert f"Files: {tmp_path}" in text
    assert "accounts.parquet" in text


def test_an_unused_saving_names_the_results_to_ask(tmp_path: Path) -> None:
    table = accounts(2)
    place = table.column_names.index("unused_saving")
    table = table.set_column(place, "unused_saving", money(np.array([0, 500_00])))
    out = tmp_path / "my results"
    out.mkdir()
    assert f"500 USD in 1 account; `crossmargin optimise --results '{out}'` says" in summary(
        table, ExceptionLog(), out
    )


def test_sums_leave_out_what_is_not_priced_and_say_so(tmp_path: Path) -> None:
    text = summary(accounts(4), ExceptionLog(), tmp_path)
    # A0, A2 and A3: 0 + 2,000 + 3,000; A1 is not priced.
    assert "without the programme 5,500 USD, with it 5,000*+, saving 500*+" in text
    assert "not in these sums: 1 account with positions that no model prices" in text
    assert "3 complete, 1 incomplete of 4 accounts" in text


def test_upper_bounds_caps_and_reasons_are_shown(tmp_path: Path) -> None:
    text = summary(accounts(4), ExceptionLog(), tmp_path)
    for name, figures in (("A3", ("3,000*", "300*")), ("A2", ("2,000+", "200+"))):
        rows = [line.split() for line in text.splitlines() if line.startswith(name)]
        assert len(rows) == 2  # of the largest requirements, and savings
        assert all(set(figures) < set(row) for row in rows)
    # In the totals, then below each list.
    assert text.count("* 1 account: saving likely too much") == 1
    assert text.count("+ 1 account: spread risk not modelled") == 1
    assert text.count("* saving likely too much") == 2
    assert text.count("+ spread risk not modelled") == 2
    assert "FICC, capped" in text
    assert "ONE_SIDED" in text


@pytest.mark.parametrize("synthetic", [True, False])
def test_synthetic_is_marked(tmp_path: Path, synthetic: bool) -> None:
    text = summary(accounts(2), ExceptionLog(), tmp_path, synthetic=synthetic)
    assert ("SYNTHETIC" in text) == synthetic


def test_exceptions_are_counted_by_kind_the_gravest_first(tmp_path: Path) -> None:
    log = ExceptionLog()
    log.add("REPO_ENDS", file="positions", row=[1, 2], message="m")
    log.add("NOT_OPTED_IN", file="accounts", row=3, message="m")
    log.add("QUANTITY_INVALID", file="positions", row=np.arange(1234), message="m")
    lines = [line.split() for line in summary(accounts(2), log, tmp_path).splitlines()]
    found = [line[:3] for line in lines if line and line[0] in ("rejected", "reassigned", "note")]
    assert found == [
        ["rejected", "QUANTITY_INVALID", "1,234"],
        ["reassigned", "NOT_OPTED_IN", "1"],
        ["note", "REPO_ENDS", "2"],
    ]


def test_the_head_says_what_share_of_the_book_stands(tmp_path: Path) -> None:
    book = {"rows": {"read": 12_000, "used": 11_990, "rejected": 10}}
    text = summary(accounts(4), ExceptionLog(), tmp_path, **book)
    assert "  11,990 of 12,000 rows of positions used\n" in text
    none = {"accounts": {"read": 4, "margined": 4, "without_positions": 3}}
    text = summary(accounts(4), ExceptionLog(), tmp_path, **book, **none)
    assert "11,990 of 12,000 rows of positions used; 3 accounts without positions" in text


def test_the_head_says_what_inputs_are_old_short_or_given_twice(tmp_path: Path) -> None:
    log = ExceptionLog()
    log.add("CURVE_EARLIER", file="par_yields", message="the curve is that of 2025-03-12")
    log.add("CURVE_EARLIER", file="sofr", message="the curve is that of 2025-03-11")
    for number in range(3):
        log.add("FIXINGS_MISSING", file="fixings", message=f"contract {number}")
    log.add("FILE_REPEATED", file="positions", message="there twice")
    head = summary(accounts(4), log, tmp_path).split("Largest requirements")[0].splitlines()
    assert [line for line in head if ": " in line][-4:] == [
        "  par_yields: the curve is that of 2025-03-12",
        "  sofr: the curve is that of 2025-03-11",
        "  fixings: contract 0 (and 2 more)",
        "  positions: there twice",
    ]


def test_no_account_and_no_saving_are_no_error(tmp_path: Path) -> None:
    assert "No account saves anything." in summary(accounts(1), ExceptionLog(), tmp_path)
    text = summary(accounts(2).slice(0, 0), ExceptionLog(), tmp_path)
    assert "0 accounts" in text


def test_names_are_text_and_no_markup(tmp_path: Path) -> None:
    table = accounts(2)
    named = table.set_column(0, "account", pa.array(["[bold]x[/bold]", "[/]"]))
    assert "[bold]x[/bold]" in summary(named, ExceptionLog(), tmp_path)


def test_rejected_rows_are_shown_and_their_accounts_counted(tmp_path: Path) -> None:
    log = ExceptionLog()
    for row in range(1, 13):
        log.add("SETTLED", file="positions", row=row, account="A2", message=f"reason {row}")
    text = summary(accounts(4), log, tmp_path)
    assert "too low: 1 account with rejected rows" in text
    assert "Rejected rows (the first 10 of" in text
    assert "positions, row 10: reason 10 (account A2)" in text
    assert "reason 11" not in text


def test_notes_on_baskets_are_one_line_of_the_head(tmp_path: Path) -> None:
    log = ExceptionLog()
    assert "baskets of futures" not in summary(accounts(2), log, tmp_path)
    log.add("CHEAPEST_CLOSE", file="securities", instrument=["ZNU26", "ZBU26"], message=["a", "b"])
    log.add("BASKET_THIN", file="securities", instrument="ZNU26", message="c")
    lines = summary(accounts(2), log, tmp_path).splitlines()
    told = [line.strip() for line in lines if "baskets of futures" in line]
    assert told == ["baskets of futures: BASKET_THIN ZNU26; CHEAPEST_CLOSE ZNU26, ZBU26"]
