from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.cycles.day.arrivals import Arrival, SetAsideError, identify, sort_out
from crossmargin.cycles.day.plan import FUTURES, NAMES, Slot
from crossmargin.exceptions import ExceptionLog
from crossmargin.io.tables import Given

DAY = np.datetime64("2026-06-10")


def told(name: str, kinds: Sequence[str | None] = ("cash",), **columns: object) -> Arrival:
    size = len(kinds)
    table = pa.table(
        {
            "kind": pa.array(kinds, pa.string()),
            **{c: v if isinstance(v, list) else [v] * size for c, v in columns.items()},
        }
    )
    return identify(name, Given(table, "hash of " + name), table, DAY)


def refused(name: str, kinds: Sequence[str | None] = ("cash",), **columns: object) -> str:
    with pytest.raises(SetAsideError) as error:
        told(name, kinds, **columns)
    return f"{error.value.code}: {error.value}"


def slot(text: str) -> Slot:
    cycle, run = text.split("-")
    return Slot(NAMES.index(cycle), int(run))


def test_the_name_says_what_the_columns_do_not() -> None:
    arrival = told("ficc-CUR-2.csv", ["repo", None, "reverse"])
    assert (arrival.side, arrival.slot) == ("FICC", slot("CUR-2"))
    assert told("Futures-eodxm-03.parquet", ["Future "]).slot == slot("EODXM-3")
    assert told("anything.csv", ["future"], Cycle="EOD", Run="1").side == FUTURES


@pytest.mark.parametrize("day", ["2026-06-10", "06/10/2026", "20260610", DAY.item()])
def test_the_columns_of_a_report_are_enough(day: object) -> None:
    table = pa.table(
        {"kind": ["cash"] * 2, "BusDate": [day] * 2, "Cycle": ["ITD"] * 2, "Run": [2, 2]}
    )
    arrival = identify("report.csv", Given(table, "x"), table, DAY)
    assert (arrival.side, arrival.slot) == ("FICC", slot("ITD-2"))


@pytest.mark.parametrize("day", ["BizDt", "Business Date", "BUS_DATE"])
def test_the_columns_have_the_names_that_a_report_may_have(day: str) -> None:
    columns = {day: "06/10/2026", "Cycle Code": "CUR", "RunNumber": "3"}
    assert told("report.csv", **columns).slot == slot("CUR-3")
    other = refused("ficc-CUR-3.csv", **{**columns, day: "06/09/2026"})
    assert other.startswith("ARRIVAL_OTHER_DAY")


def test_what_cannot_be_told_is_refused_in_a_line() -> None:
    assert "ARRIVAL_UNKNOWN: has no columns Cycle and Run" in refused("positions.csv")
    assert "do you mean `EODXM`?" in refused("ficc-EODX-1.csv")
    assert "is not a run" in refused("ficc-EOD-0.csv")
    assert "is not a run" in refused("ficc-EOD-99999999999999999999.csv")
    assert "is not a run" in refused("x.csv", Cycle="EOD", Run="first")
    assert "has no row of a position" in refused("ficc-EOD-1.csv", [])
    assert "has no row of a position" in refused("ficc-EOD-1.csv", ["swap", None])
    assert "which is no day" in refused("ficc-EOD-1.csv", BusDate="June")
    table = pa.table({"account": ["a"], "qty": ["1"]})
    with pytest.raises(SetAsideError, match="has no column `kind`"):
        identify("ficc-EOD-1.csv", Given(table, "x"), table, DAY)


def test_contradictions_are_refused() -> None:
    assert "ARRIVAL_OTHER_DAY: is of 06/09/2026" in refused("ficc-EOD-1.csv", BusDate="06/09/2026")
    for message in (
        refused("ficc-EOD-1.csv", Cycle="CUR"),
        refused("ficc-EOD-1.csv", Run="2"),
        refused("futures-EOD-1.csv"),
        refused("ficc-EOD-1.csv", ["cash", "future"]),
        refused("ficc-EOD-1.csv", ["cash", "cash"], Cycle=["EOD", "CUR"]),
    ):
        assert message.startswith("ARRIVAL_CONTRADICTS")


def arrival(name: str, digest: str) -> Arrival:
    side, cycle, run = name.split(".")[0].split("-")[:3]
    table = pa.table({"kind": ["cash"]})
    return Arrival(name, side.upper(), slot(f"{cycle}-{run}"), Given(table, digest))


def sorted_out(
    *arrivals: Arrival, played: dict[str, dict[str, str]] | None = None
) -> tuple[dict[str, dict[str, str]], list[tuple[str, str]]]:
    log = ExceptionLog()
    found = sort_out(arrivals, {slot(name): sides for name, sides in (played or {}).items()}, log)
    counted = {
        str(where): {side: one.name for side, one in sides.items()}
        for where, sides in found.items()
    }
    table = log.table()
    return counted, list(zip(table["file"].to_pylist(), table["code"].to_pylist(), strict=True))


def test_runs_are_in_the_order_of_the_day() -> None:
    found, noted = sorted_out(
        arrival("ficc-EOD-1.csv", "a"),
        arrival("ficc-CUR-10.csv", "b"),
        arrival("ficc-CUR-2.x", "c"),
    )
    assert list(found) == ["CUR-2", "CUR-10", "EOD-1"]
    assert noted == []


def test_the_same_file_twice_counts_once() -> None:
    found, noted = sorted_out(arrival("ficc-EOD-1.csv", "a"), arrival("ficc-EOD-1.txt", "a"))
    assert found == {"EOD-1": {"FICC": "ficc-EOD-1.csv"}}
    assert noted == [("arrivals/ficc-EOD-1.txt", "ARRIVAL_REPEATED")]


def test_the_same_content_for_another_cycle_counts_with_a_note() -> None:
    found, noted = sorted_out(arrival("ficc-CUR-1.csv", "a"), arrival("ficc-EOD-1.csv", "a"))
    assert list(found) == ["CUR-1", "EOD-1"]
    assert noted == [("arrivals/ficc-EOD-1.csv", "ARRIVAL_REPEATED")]


def test_of_two_contents_none_counts() -> None:
    found, noted = sorted_out(
        arrival("ficc-EOD-1.csv", "a"), arrival("ficc-EOD-1.txt", "b"), arrival("ficc-CUR-1.x", "c")
    )
    assert list(found) == ["CUR-1"]
    assert [code for _, code in noted] == ["ARRIVAL_AMBIGUOUS"] * 2


def test_other_content_for_a_played_run_is_set_aside() -> None:
    played = {"EOD-1": {"FICC": "a", FUTURES: "f"}}
    found, noted = sorted_out(
        arrival("ficc-EOD-1.csv", "b"), arrival("ficc-EOD-1.txt", "a"), played=played
    )
    assert found == {"EOD-1": {"FICC": "ficc-EOD-1.txt"}}
    assert noted == [("arrivals/ficc-EOD-1.csv", "ARRIVAL_AMBIGUOUS")]


def test_files_of_a_cycle_that_was_passed_over_say_so() -> None:
    played = {"ITD-1": {"FICC": "i", FUTURES: "j"}, "EOD-1": {"FICC": "a", FUTURES: "f"}}
    found, noted = sorted_out(
        arrival("ficc-CUR-1.csv", "b"), arrival("ficc-ITD-2.csv", "c"), played=played
    )
    assert found == {}
    assert [code for _, code in noted] == ["CYCLE_MISSED", "ARRIVAL_OLD"]


def test_what_is_older_than_a_played_cycle_is_set_aside() -> None:
    played = {name: {"FICC": "a", FUTURES: "f"} for name in ("ITD-1", "EOD-2")}
    found, noted = sorted_out(
        arrival("ficc-EOD-1.csv", "b"),
        arrival("ficc-ITD-3.csv", "c"),
        arrival("ficc-EOD-3.csv", "d"),
        played=played,
    )
    assert list(found) == ["EOD-3"]
    assert [code for _, code in noted] == ["ARRIVAL_OLD"] * 2
