from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pytest

import crossmargin as xm
from crossmargin.cycles.day.play import PlayedDay, play_day
from crossmargin.cycles.ledger import Ledger
from crossmargin.cycles.lock import held
from crossmargin.exceptions import InputError

Written = Callable[[Path], dict[str, bytes]]
Recorded = Callable[[Path], dict[str, list[dict[str, Any]]]]
STEPS = [
    *(("ITD", "positions"), ("ITD", "savings"), ("ITD", "calls")),
    *(("CUR", "positions"), ("CUR", "allocation"), ("CUR", "bookings")),
    *(("EOD", "positions"), ("EOD", "savings"), ("EOD", "calls")),
    *(("EODXM", "positions"), ("EODXM", "savings"), ("EODXM", "calls")),
]


def done(played: PlayedDay, now: bool | None = None) -> list[tuple[str, str]]:
    rows = played.steps.to_arrow().to_pylist()
    return [(row["cycle"], row["step"]) for row in rows if now is None or row["now"] is now]


def codes(played: PlayedDay) -> list[str]:
    return list(played.exceptions.to_arrow()["code"].to_pylist())


def as_text(path: Path) -> pa.Table:
    names = path.read_text().splitlines()[0].replace('"', "").split(",")
    types = dict.fromkeys(names, pa.string())
    return pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(column_types=types))


def test_a_day_is_played_from_start_to_finish(undisturbed: Path) -> None:
    again = play_day(undisturbed)
    assert done(again) == STEPS
    assert done(again, now=True) == []
    assert again.waits == ()
    assert codes(again) == []
    assert "12 steps done, 0 of them now" in repr(again)
    assert "<table" in again._repr_html_()


def test_stopped_after_every_step_it_goes_on_and_books_nothing_twice(
    folder: Path, undisturbed: Path, written: Written, recorded: Recorded
) -> None:
    for count in range(len(STEPS)):
        played = play_day(folder, steps=1, threads=1)
        assert done(played, now=True) == STEPS[count : count + 1]
        assert (": stopped before" in "".join(played.waits)) == (count + 1 < len(STEPS))
    assert written(folder) == written(undisturbed)
    assert recorded(folder / "ledger.duckdb") == recorded(undisturbed / "ledger.duckdb")


def test_what_has_arrived_is_played_and_the_rest_is_waited_for(folder: Path) -> None:
    later = folder.parent / "later"
    (folder / "arrivals").rename(later)
    played = play_day(folder)
    assert done(played) == []
    assert played.waits == (
        "ITD-1: positions at FICC and futures",
        "CUR-1: positions at FICC and futures",
        "EOD-1: positions at FICC",
        "EODXM-1: positions at FICC",
    )
    (folder / "arrivals").mkdir()
    for name, waits in (
        ("futures-CUR-1.csv", "CUR-1: positions at FICC"),
        ("ficc-CUR-1.csv", "EOD-1: positions at FICC"),
        ("ficc-EODXM-1.csv", "EODXM-1: EOD, which it adjusts"),
    ):
        shutil.copy(later / name, folder / "arrivals" / name)
        played = play_day(folder)
        assert waits in played.waits
    assert done(played) == STEPS[3:6]
    shutil.copy(later / "ficc-EOD-1.csv", folder / "arrivals" / ".ficc-EOD-1.csv")
    assert done(play_day(folder), now=True) == []  # it is still being written
    shutil.copy(later / "ficc-EOD-1.csv", folder / "arrivals" / "ficc-EOD-1.csv")
    assert done(play_day(folder), now=True) == STEPS[6:]
    for name in ("ficc-ITD-1.csv", "futures-ITD-1.csv"):
        shutil.copy(later / name, folder / "arrivals" / name)
    played = play_day(folder)
    assert done(played, now=True) == []
    assert codes(played) == ["CYCLE_MISSED", "CYCLE_MISSED"]
    assert played.waits == ()


def test_what_cannot_be_used_is_set_aside_and_the_rest_goes_on(folder: Path) -> None:
    arrivals = folder / "arrivals"
    whole = (arrivals / "ficc-EOD-1.csv").read_bytes()
    (arrivals / "ficc-ITD-1.csv").write_bytes(b"\x1f\x8b\x08 truncated")
    (arrivals / "notes.txt").write_text("nothing of ours")
    (arrivals / "empty.csv").write_bytes(b"")
    (arrivals / "ficc-EOD-2.csv").write_bytes(whole.splitlines()[0])
    (arrivals / "futures-EOD-1.csv").write_bytes(whole)
    (arrivals / "more").mkdir()
    (arrivals / "pipe-EOD-1.csv").symlink_to("/dev/zero")
    played = play_day(folder)
    assert done(played) == STEPS[3:]
    table = played.exceptions.to_arrow()
    told = dict(zip(table["file"].to_pylist(), table["code"].to_pylist(), strict=True))
    assert told == {
        "arrivals/empty.csv": "ARRIVAL_UNREADABLE",
        "arrivals/ficc-EOD-2.csv": "ARRIVAL_UNKNOWN",
        "arrivals/ficc-ITD-1.csv": "ARRIVAL_UNREADABLE",
        "arrivals/futures-EOD-1.csv": "ARRIVAL_CONTRADICTS",
        "arrivals/futures-ITD-1.csv": "CYCLE_MISSED",
        "arrivals/more": "ARRIVAL_UNREADABLE",
        "arrivals/notes.txt": "ARRIVAL_UNKNOWN",
        "arrivals/pipe-EOD-1.csv": "ARRIVAL_UNREADABLE",
    }
    assert (folder / "exceptions.csv").read_text().count("\n") == 1 + len(told)


def test_a_cycle_says_what_a_run_says(undisturbed: Path) -> None:
    market = xm.read_market(
        undisturbed / "par_yields.csv", as_of="2026-06-10", basis=undisturbed / "basis.csv"
    )
    book: dict[str, Any] = {
        name: undisturbed / f"{name}.csv" for name in ("accounts", "securities")
    }
    arrivals, steps = undisturbed / "arrivals", undisturbed / "steps"
    run = xm.run(
        positions=[
            arrivals / "ficc-EOD-1.csv",
            arrivals / "futures-CUR-1.csv",
            steps / "CUR-1/3-bookings/positions.csv",
        ],
        **book,
        market=market,
    )
    with Ledger(undisturbed / "ledger.duckdb") as ledger:
        kept = ledger.savings(cycle="EOD").to_arrow()
        called = ledger.calls(cycle="EOD").to_arrow()
    for name in ("account", "offset_rate", "requirement", "saving"):
        assert kept[name].to_pylist() == run.accounts[name].to_pylist()
    calls = xm.calls(run, deposits=undisturbed / "deposits.csv").accounts
    for name in ("collected", "excess", "call", "withdrawable"):
        assert called[name].to_pylist() == calls[name].to_pylist()


def test_transfers_lower_what_accounts_pay_by_what_was_said(undisturbed: Path) -> None:
    accounts = as_text(undisturbed / "steps/CUR-1/2-allocation/accounts.csv")
    moved = as_text(undisturbed / "steps/CUR-1/2-allocation/transfers.csv")
    booked = as_text(undisturbed / "steps/CUR-1/3-bookings/positions.csv")
    assert 0 < len(moved) == len(booked) // 2
    assert any(float(saved or 0) > 0 for saved in accounts["unused_saving"].to_pylist())
    quantity = [float(text) for text in booked["quantity"].to_pylist()]
    assert [one + other for one, other in zip(quantity[::2], quantity[1::2], strict=True)] == [
        0.0
    ] * len(moved)


def test_the_final_cycle_is_an_adjustment(undisturbed: Path) -> None:
    for step, name in (("4-savings", "requirement"), ("5-calls", "collected")):
        table = pacsv.read_csv(undisturbed / f"steps/EODXM-1/{step}/adjustments.csv").to_pylist()
        assert table
        for row in table:
            before, now, change = row[f"{name}_before"], row[name], row[f"{name}_change"]
            assert change is None or round(100 * (now - before - change)) == 0
        assert any(row[f"{name}_change"] for row in table)
    with Ledger(undisturbed / "ledger.duckdb") as ledger:
        kept = ledger.calls(cycle="EODXM").to_arrow()
    assert (
        kept["collected_change"].to_pylist()
        == pc.subtract(kept["collected"], _collected_at_eod(undisturbed, kept))
        .cast(kept["collected_change"].type)
        .to_pylist()
    )


def _collected_at_eod(folder: Path, later: pa.Table) -> pa.ChunkedArray:
    with Ledger(folder / "ledger.duckdb") as ledger:
        before = ledger.calls(cycle="EOD").to_arrow()
    return before["collected"].take(pc.index_in(later["account"], value_set=before["account"]))


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_do_not_matter(
    folder: Path, undisturbed: Path, written: Written, threads: int
) -> None:
    play_day(folder, threads=threads)
    assert written(folder) == written(undisturbed)


def test_a_late_clearing_house_is_stood_in_for(folder: Path, undisturbed: Path) -> None:
    (folder / "day.toml").write_text(
        'date = 2026-06-10\ncarried = ["EOD", "EODXM"]\nlate = { EODXM = ["CME"] }\n'
    )
    play_day(folder, steps=7)
    # Once its savings are recorded, a cycle stays as it was begun.
    assert done(play_day(folder, steps=1, late="FICC"), now=True) == STEPS[7:8]
    play_day(folder)
    with Ledger(folder / "ledger.duckdb") as ledger:
        steps = ledger.steps().to_arrow().to_pylist()
        eod = ledger.savings(cycle="EOD").to_arrow()
    late = {(row["cycle"], row["step"]): (row["late"], row["fallback"]) for row in steps}
    assert late["EOD", "savings"] == late["EOD", "calls"] == ("FICC", "zero_benefit")
    assert late["EODXM", "calls"] == ("CME", "zero_benefit")
    assert late["ITD", "savings"] == late["EOD", "positions"] == (None, None)
    assert set(eod["offset_rate"].to_pylist()) == {0.0}
    assert (folder / "steps/EOD-1/4-savings/fallbacks.csv").exists()
    assert not (undisturbed / "steps/EOD-1/4-savings/fallbacks.csv").exists()


def test_a_cycle_that_was_begun_is_not_mixed_with_other_inputs(folder: Path) -> None:
    play_day(folder, steps=7)
    accounts = folder / "accounts.csv"
    before = accounts.read_bytes()
    accounts.write_bytes(before.replace(b"Synthetic", b"Other"))
    with pytest.raises(InputError, match="accounts changed after EOD-1 was begun"):
        play_day(folder)
    accounts.write_bytes(before)
    eod = folder / "arrivals/ficc-EOD-1.csv"
    lines = eod.read_bytes().splitlines(keepends=True)
    eod.write_bytes(b"".join(lines[:-1]))
    (folder / "arrivals/ficc-EODXM-1.csv").unlink()
    played = play_day(folder)
    assert played.waits[0] == "EOD-1: positions at FICC that it was begun with"
    assert codes(played) == ["ARRIVAL_AMBIGUOUS"]
    eod.write_bytes(b"".join(lines))
    deposits = (folder / "deposits.csv").read_text().splitlines()
    (folder / "deposits.csv").write_text("\n".join(deposits[:5]))  # money moves at any time
    assert done(play_day(folder), now=True) == STEPS[7:9]


def test_what_is_booked_is_what_the_allocation_recorded(
    folder: Path, undisturbed: Path, written: Written
) -> None:
    play_day(folder, steps=5)
    plan = folder / "day.toml"
    before = plan.read_text()
    plan.write_text(before + "\n[allocation]\nmost_transfers = 1\n")
    with pytest.raises(InputError, match="allocation options changed after CUR-1 was begun"):
        play_day(folder)
    plan.write_text(before + "\n[allocation]\nquick = true\n")  # the default
    play_day(folder)
    assert written(folder) == written(undisturbed)


def test_bookings_do_not_choose_again(
    folder: Path, undisturbed: Path, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_day(folder, steps=5)
    monkeypatch.delattr("crossmargin.cycles.day.play.allocate")
    play_day(folder)
    assert written(folder) == written(undisturbed)


@pytest.mark.parametrize("most", [1, 2, 5, 8])
def test_a_cycle_keeps_the_policy_that_it_was_begun_with(folder: Path, most: int) -> None:
    play_day(folder, steps=most)
    plan = folder / "day.toml"
    before = plan.read_text()
    plan.write_text(before.replace("date =", 'policy = "cme-ficc-2026-04-30"\ndate ='))
    with pytest.raises(InputError, match=r"policy changed after (ITD|CUR|EOD)-1 was begun"):
        play_day(folder)
    plan.write_text(before)
    assert done(play_day(folder), now=True) == STEPS[most:]


def test_a_cycle_keeps_the_version_that_it_was_begun_with(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_day(folder, steps=1)
    monkeypatch.setattr("crossmargin.cycles.day.play.__version__", "99.0")
    with pytest.raises(InputError, match=r"ITD-1 was begun with crossmargin .*, and this is 99\.0"):
        play_day(folder)


def test_an_input_that_is_gone_has_changed(folder: Path) -> None:
    play_day(folder, steps=1)
    (folder / "basis.csv").rename(folder.parent / "basis.csv")
    with pytest.raises(InputError, match=r"basis changed after ITD-1 was begun .* now it is none"):
        play_day(folder)


def test_bookings_must_be_as_they_were_recorded(folder: Path) -> None:
    play_day(folder, steps=6)
    booked = folder / "steps/CUR-1/3-bookings/positions.csv"
    before = booked.read_bytes()
    booked.write_bytes(before + before.splitlines()[-1] + b"\n")
    with pytest.raises(InputError, match="is not as the ledger recorded it"):
        play_day(folder)
    booked.write_bytes(before)
    assert done(play_day(folder), now=True) == STEPS[6:]


def test_changed_files_of_earlier_steps_are_noted(resumed: Path) -> None:
    shutil.rmtree(resumed / "steps/ITD-1/4-savings")
    (resumed / "steps/EOD-1/5-calls/calls.csv").write_text("nothing")
    played = play_day(resumed)
    table = played.exceptions.to_arrow()
    assert set(codes(played)) == {"STEP_CHANGED"}
    assert {text.rpartition("/")[0] for text in table["file"].to_pylist()} == {
        "steps/ITD-1/4-savings",
        "steps/EOD-1/5-calls",
    }


def test_futures_that_arrive_later_are_taken_to_have_the_transfers(
    folder: Path, undisturbed: Path
) -> None:
    without = (folder / "arrivals/futures-CUR-1.csv").read_text()
    (folder / "arrivals/futures-EOD-1.csv").write_text(without)
    played = play_day(folder)
    moved = as_text(undisturbed / "steps/CUR-1/3-bookings/moved.csv")
    assert codes(played).count("TRANSFER_NOT_BOOKED") == len(moved) > 0
    assert "as before the transfer" in played.exceptions["message"][-1].as_py()
    # It is kept: in the step's own exceptions, and said again.
    kept = (folder / "steps/EOD-1/1-positions/exceptions.csv").read_text()
    assert kept.count("TRANSFER_NOT_BOOKED") == len(moved)
    before = (folder / "exceptions.csv").read_bytes()
    assert codes(play_day(folder)) == codes(played)
    assert (folder / "exceptions.csv").read_bytes() == before


def test_a_cycle_that_lacks_a_file_stops_no_calls_and_is_not_passed_over_in_silence(
    folder: Path,
) -> None:
    late = folder.parent / "ficc-CUR-1.csv"
    (folder / "arrivals/ficc-CUR-1.csv").rename(late)
    played = play_day(folder)
    assert done(played) == [step for step in STEPS if step[0] != "CUR"]
    for _ in range(2):
        # As often as the day is played, and also once the other file is there.
        (row,) = played.exceptions.to_arrow().slice(0, 1).to_pylist()
        assert (row["code"], row["severity"]) == ("CYCLE_MISSED", "rejected")
        assert "no CUR was played" in row["message"]
        assert "no transfers are booked" in row["message"]
        played = play_day(folder)
    shutil.copy(late, folder / "arrivals")
    assert codes(play_day(folder)) == ["CYCLE_MISSED"] * 2
    for side in ("ficc", "futures"):
        (folder / f"arrivals/{side}-CUR-1.csv").unlink()
    assert codes(play_day(folder)) == ["CYCLE_NOT_PLAYED"]


def test_reports_that_come_beside_the_positions_are_noted(folder: Path, undisturbed: Path) -> None:
    for step, name in (("1-positions", "XMFICCPOSN"), ("4-savings", "XMFICCMARGINSAVINGS")):
        shutil.copy(undisturbed / f"steps/ITD-1/{step}/{name}.csv", folder / "arrivals")
    played = play_day(folder)
    assert done(played) == STEPS
    table = played.exceptions.to_arrow()
    assert set(table["severity"].to_pylist()) == {"note"}
    assert codes(played) == ["ARRIVAL_NOT_PLAYED"] * 2


def test_without_deposits_a_day_says_so(folder: Path) -> None:
    (folder / "deposits.csv").unlink()
    said = play_day(folder, steps=3).steps["made"][2].as_py()
    assert "no deposits are given: calls are not known" in said
    assert said.startswith("collected ")
    assert "0 calls" not in said


def test_transfers_that_are_in_later_futures_are_not_noted(folder: Path, undisturbed: Path) -> None:
    arrivals = folder / "arrivals"
    header, *rows = (arrivals / "futures-CUR-1.csv").read_text().splitlines()
    names = header.replace('"', "").split(",")
    for row in as_text(undisturbed / "steps/CUR-1/3-bookings/positions.csv").to_pylist():
        rows.append(",".join(row.get(name) or "" for name in names))
    (arrivals / "futures-EOD-1.csv").write_text("\n".join([header, *rows, ""]))
    played = play_day(folder)
    assert "TRANSFER_NOT_BOOKED" not in codes(played)
    same = "steps/EOD-1/4-savings/accounts.csv"
    assert (folder / same).read_bytes() == (undisturbed / same).read_bytes()


def test_one_process_for_a_folder_and_for_a_ledger(folder: Path, tmp_path: Path) -> None:
    with (
        held(folder / ".day.lock", "x"),
        pytest.raises(InputError, match=r"day: is in use by process \d+ on "),
    ):
        play_day(folder)
    shared = tmp_path / "shared.duckdb"
    with (
        Ledger(shared, write=True),
        pytest.raises(InputError, match=r"process \d+ on "),
    ):
        play_day(folder, ledger=shared)


def test_one_ledger_for_several_days(arrived: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared.duckdb"
    first = Path(shutil.copytree(arrived, tmp_path / "first"))
    play_day(first, ledger=shared, steps=1)
    other = Path(shutil.copytree(arrived, tmp_path / "other"))
    text = (other / "day.toml").read_text()
    (other / "day.toml").write_text(text.replace("2026-06-10", "2026-06-09"))
    played = play_day(other, ledger=shared, steps=1)
    assert done(played) == STEPS[:1]
    with Ledger(shared) as ledger:
        assert len(ledger.steps()) == 2
    # The same day from another folder is done already.
    again = Path(shutil.copytree(arrived, tmp_path / "again"))
    assert done(play_day(again, ledger=shared, steps=1), now=True) == STEPS[1:2]


def test_a_step_says_what_it_was_made_of(undisturbed: Path) -> None:
    said = json.loads((undisturbed / "steps/EOD-1/5-calls/step.json").read_text())
    assert said["day"] == "2026-06-10"
    assert said["cycle"] == "EOD"
    assert said["synthetic"] is True
    assert {"ficc", "futures", "booked in CUR-1", "accounts", "deposits"} <= said["inputs"].keys()
    assert said["files"].keys() == {"adjustments.csv", "calls.csv", "customers.csv"} - {
        "adjustments.csv"
    } | {"exceptions.csv"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "day.toml").unlink(), "no such file"),
        (lambda folder: (folder / "accounts.csv").rename(folder / "acounts.csv"), "`acounts`"),
        (
            lambda folder: shutil.copy(folder / "accounts.csv", folder / "accounts.txt"),
            "accounts.csv and accounts.txt are both accounts; keep one",
        ),
        (lambda folder: (folder / "ledger.duckdb").write_text("not one"), "no ledger"),
    ],
)
def test_folders_that_cannot_be_played(
    folder: Path, change: Callable[[Path], object], message: str
) -> None:
    change(folder)
    with pytest.raises(InputError, match=message):
        play_day(folder)


def test_arguments_are_checked(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no directory"):
        play_day(tmp_path / "none")
    with pytest.raises(InputError, match="neither FICC nor CME"):
        play_day(folder, late="LCH")
    with pytest.raises(TypeError, match="steps: a whole number"):
        play_day(folder, steps=True)


def of_requirements(folder: Path) -> list[tuple[str, str]]:
    rows = as_text(folder / "steps/EODXM-1/4-savings/accounts.csv").to_pylist()
    return [(row["account"], row["requirement"]) for row in rows]


def rewritten(folder: Path, pattern: str, change: Callable[[pa.Table], pa.Table]) -> None:
    for path in (folder / "arrivals").glob(pattern):
        pacsv.write_csv(change(as_text(path)), path)


def test_a_columns_file_may_be_about_one_side(folder: Path, undisturbed: Path) -> None:
    rewritten(
        folder, "ficc*", lambda table: table.rename_columns(["Konto", *table.column_names[1:]])
    )
    (folder / "columns.toml").write_text('[positions]\naccount = "Konto"\n')
    played = play_day(folder)
    assert codes(played) == []
    assert of_requirements(folder) == of_requirements(undisturbed)


def test_a_columns_file_is_not_about_what_the_day_books(folder: Path, arrived: Path) -> None:
    def crossed(table: pa.Table) -> pa.Table:
        return table.set_column(4, "xm", pa.array(["true"] * len(table)))

    other = Path(shutil.copytree(arrived, folder.parent / "other"))
    rewritten(folder, "*", lambda table: table.drop_columns(["xm"]))
    rewritten(other, "*", crossed)
    (folder / "columns.toml").write_text('[positions]\nxm = {constant = "true"}\n')
    play_day(folder)
    play_day(other)
    assert len((other / "steps/CUR-1/3-bookings/positions.csv").read_text().splitlines()) > 1
    assert of_requirements(folder) == of_requirements(other)


def test_transfers_are_booked_at_the_day_s_settlement_prices(
    folder: Path, undisturbed: Path
) -> None:
    unpriced = (undisturbed / "steps/CUR-1/3-bookings/transfers.xml").read_text()
    assert "LastPx" not in unpriced
    moved = as_text(undisturbed / "steps/CUR-1/2-allocation/transfers.csv")
    contract = next(name for name in moved["instrument"].to_pylist() if name.startswith("Z"))
    (folder / "settlements.csv").write_text(
        f"date,contract,price\n2026-06-09,{contract},109.5\n2026-06-10,{contract},110.25\n"
    )
    # The basis history would give the same contract's basis twice.
    (folder / "basis.csv").unlink()
    play_day(folder, steps=6)
    priced = (folder / "steps/CUR-1/3-bookings/transfers.xml").read_text()
    assert 'LastPx="110.25"' in priced
    assert "109.5" not in priced
