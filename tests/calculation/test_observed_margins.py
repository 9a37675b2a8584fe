"""Observed margins through a run, and through everything that continues from one."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin import cli
from crossmargin.engine import Execution
from crossmargin.exceptions import InputError
from crossmargin.margin.outright import outright_margins
from crossmargin.market.curve import Curve
from crossmargin.policies import ObservedMarginRules, Policy
from crossmargin.sample import AS_OF, sample_tables, write_sample

SPAN = "cme-ficc-2026-11-30-span"
ACTUAL = pa.table(
    {
        "instrument": ["ZN", "ZT", "SR3", "ZNZ26"],
        "date": ["2026-01-05", "2026-03-02", "2026-01-05", "2026-02-02"],
        "maintenance": [1600.0, 900.0, 400.0, 1700.0],
    }
)
PARTS = ("accounts", "components", "breakdown", "positions")


def policy(use: str, name: str | None = None) -> Policy:
    return xm.read_policy(name).with_sections(ObservedMarginRules(use))


@cache
def book() -> dict[str, pa.Table]:
    tables = sample_tables(accounts=40)
    return {name: tables[name] for name in ("positions", "accounts", "securities")}


def run(actual: pa.Table | None = ACTUAL, **more: Any) -> xm.RunResult:
    given = {**book(), "market": xm.sample_market(), "threads": 1}
    return xm.run(**{**given, "observed_margins": actual, **more})


@cache
def scaled(name: str | None = None) -> xm.RunResult:
    return run(policy=policy("scale", name))


def hashes(result: xm.RunResult) -> dict[str, str]:
    return {name: result.manifest["results"][name]["hash"] for name in PARTS}


def compared(result: xm.RunResult) -> dict[str, dict[str, Any]]:
    rows = result.manifest["ccps"]["CME"]["observed_margins"]
    return {row["instrument"]: row for row in rows}


def outright(result: xm.RunResult, *names: str) -> list[float]:
    """Return the larger margin of one contract, long or short, of some contracts."""
    assert result.stages is not None
    models = result.stages.models
    known = models.universe.name.tolist()
    at = [known.index(name) for name in names]
    both = outright_margins(models.ccps["CME"], at, len(known), Execution(1))
    return [max(sides) for sides in both.tolist()]


@pytest.mark.parametrize("name", [None, SPAN])
def test_shown_margins_change_no_figure(name: str | None) -> None:
    plain, shown = run(None, policy=name), run(policy=name)
    assert hashes(shown) == hashes(plain)
    assert hashes(run(policy=policy("show", name))) == hashes(plain)
    assert "observed_margins" not in plain.manifest["ccps"]["CME"]
    found = compared(shown)
    assert list(found) == ["ZT", "ZN", "ZNZ26", "SR3"]
    for row in found.values():
        larger = max(row["model_long"], row["model_short"])
        assert row["ratio"] == larger / row["maintenance"]
        assert (row["use"], row["factor"]) == ("show", 1.0)
        assert outright(shown, row["contract"]) == [larger]
    assert (found["ZT"]["contract"], found["ZT"]["date"]) == ("ZTU26", "2026-03-02")
    # Nobody holds the front month of SR3 in the sample; the run needs it all the same.
    assert found["SR3"]["contract"] == "SR3N26"


def test_a_scaled_model_asks_for_the_actual_margins() -> None:
    plain, changed = run(None), scaled()
    front = outright(changed, "ZNU26", "ZTU26", "SR3N26", "ZNZ26", "ZFU26")
    assert front[:4] == pytest.approx([1600.0, 900.0, 400.0, 1700.0], abs=1e-4)
    assert front[4] == outright(plain, "ZFU26")[0]
    for before, after in zip(plain.accounts, changed.accounts, strict=True):
        # FICC's models are as they were.
        for name in ("v_ficc_cash", "v_ficc_futures", "v_ficc_combined"):
            assert before[name] == after[name]
    assert hashes(changed)["accounts"] != hashes(plain)["accounts"]


def test_a_floor_raises_and_never_lowers() -> None:
    low = ACTUAL.set_column(2, "maintenance", pa.array([1600.0, 10.0, 400.0, 1700.0]))
    floored = run(low, policy=policy("floor"))
    found = compared(floored)
    assert found["ZT"]["factor"] == 1.0
    assert found["ZN"]["factor"] > 1.0
    zt, zn = outright(floored, "ZTU26", "ZNU26")
    assert zt == outright(run(None), "ZTU26")[0]
    assert zn == pytest.approx(1600.0, abs=1e-4)


def test_by_scan_ranges_the_root_is_scaled() -> None:
    changed = scaled(SPAN)
    assert outright(changed, "ZNU26", "ZNZ26", "ZTU26") == pytest.approx([1600.0, 1600.0, 900.0])
    codes = [row["message"] for row in changed.exceptions if row["code"] == "OBSERVED_NOT_USED"]
    assert len(codes) == 1
    assert codes[0].startswith("ZNZ26: a scan range is")


@pytest.mark.parametrize("name", [None, SPAN])
def test_a_rerun_finds_the_ratios_of_its_own_market(name: str | None) -> None:
    market = xm.sample_market()
    moved = market.with_curve(Curve(market.as_of, market.curve.log_df * 1.5))
    again = xm.rerun(scaled(name), moved)
    assert hashes(again) == hashes(run(policy=policy("scale", name), market=moved))
    assert compared(again)["ZN"]["ratio"] != compared(scaled(name))["ZN"]["ratio"]
    assert outright(again, "ZNU26") == pytest.approx([1600.0], abs=1e-4)


@pytest.mark.parametrize("name", [None, SPAN])
def test_questions_are_about_the_scaled_model(name: str | None) -> None:
    """Also for a contract that the run does not hold, for which the models are made anew."""
    result = scaled(name)
    session = xm.Session(result, threads=1)
    account = "H00001"
    new = "ZFZ26" if "ZFZ26" not in session.instruments else "TNZ26"
    for trades in ({"ZNU26": -7}, {new: 5, "ZNU26": 3}):
        rows = [
            {"account": account, "kind": "future", "instrument": key, "quantity": lots, "xm": True}
            for key, lots in trades.items()
        ]
        given = book()["positions"]
        more = pa.Table.from_pylist(rows).cast(
            pa.schema([given.schema.field(name) for name in rows[0]])
        )
        longer = pa.concat_tables([given, more], promote_options="default")
        whole = run(policy=policy("scale", name), positions=longer)
        wanted = {row["account"]: row["requirement"] for row in whole.accounts}[account]
        assert session.what_if(account, trades)["requirement"] == wanted


def test_other_horizons_keep_the_factors_of_the_run() -> None:
    result = scaled()
    told = xm.explain(result, "H00001", threads=1)
    rows = [row for row in told.alternatives if row["kind"] == "horizon" and row["ccp"] == "CME"]
    own = {row["portfolio"]: row["amount"] for row in rows if row["in_use"]}
    shown = {
        row["portfolio"]: pytest.approx(float(row["amount"]), abs=0.01)
        for row in told.components
        if row["ccp"] == "CME" and row["component"] == "V"
    }
    assert own
    assert own == {name: shown[name] for name in own}
    longer = {row["portfolio"]: row["amount"] for row in rows if "10 days" in row["definition"]}
    assert longer["futures"] > own["futures"]


def test_a_kept_run_is_read_again_with_its_scaled_models(tmp_path: Path) -> None:
    read = xm.read_run(xm.write_run(scaled(), tmp_path / "run"), threads=1)
    assert compared(read) == compared(scaled())
    assert read.stages is not None
    assert read.stages.parsed.observed_margins == scaled().stages.parsed.observed_margins  # type: ignore[union-attr]
    assert outright(read, "ZNU26", "ZFU26") == outright(scaled(), "ZNU26", "ZFU26")


OWN = """name = "own"
title = "own"
authority = "own"
extends = "cme-ficc-2026-04-30"
[observed_margins]
use = { value = "scale", evidence = "ours", source = "a test" }
"""


def test_the_command_reads_shows_and_rebuilds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sample(tmp_path, accounts=20)
    (tmp_path / "own.toml").write_text(OWN)
    with (tmp_path / "margins.csv").open("w", newline="") as file:
        rows = [["TY", "2026-01-05", 1600], ["ZT", "2024-01-05", 600], ["GE", "2026-01-05", 300]]
        csv.writer(file).writerows([["root", "effective", "usd"], *rows])
    (tmp_path / "columns.toml").write_text(
        '[observed_margins]\ninstrument = "root"\ndate = "effective"\nmaintenance = "usd"\n'
    )
    named = ("positions", "accounts", "securities", "par-yields", "basis")
    options = [part for n in named for part in (f"--{n}", f"{tmp_path}/{n.replace('-', '_')}.csv")]
    options += ["--as-of", str(AS_OF), "--observed-margins", str(tmp_path / "margins.csv")]
    options += ["--columns", str(tmp_path / "columns.toml"), "--policy", str(tmp_path / "own.toml")]
    assert cli.main(["check", *options]) == 3  # The sample has flaws.
    checked = " ".join(capsys.readouterr().out.split())
    assert "observed_margins 3" in checked
    assert "observed_margins: 1 row of products that are not margined here: GE" in checked
    assert "observed_margins, row" not in checked  # None is rejected.
    assert "in force for more than 365 days on 2026-06-10: ZT since 2024-01-05" in checked
    assert cli.main(["run", *options, "--out", str(tmp_path / "out")]) == 3
    head = capsys.readouterr().out.split("Largest requirements")[0]
    found = compared(xm.read_run(tmp_path / "out"))
    ratios = f"ZT {found['ZT']['ratio']:.2f} (of 2024-01-05), ZN {found['ZN']['ratio']:.2f}"
    assert (
        f"  CME model over actual maintenance: {ratios} (as of 2024-01-05 to 2026-01-05); scaled "
        "to the actual: ZT, ZN\n" in head
    )
    assert "observed_margins: in force for more than 365 days" in head
    (tmp_path / "out" / "stages.bin").unlink()
    again = xm.rebuild_run(tmp_path / "out", threads=1)
    assert outright(again, "ZNU26") == pytest.approx([1600.0], abs=1e-4)
    (tmp_path / "margins.csv").write_text("root,effective,usd\nTY,2026-01-05,1700\n")
    with pytest.raises(InputError, match=r"observed_margins: .*margins.csv was changed"):
        xm.rebuild_run(tmp_path / "out")


def test_a_policy_that_scales_wants_margins() -> None:
    asked = run(None, policy=policy("scale"))
    assert hashes(asked) == hashes(run(None))
    [note] = [row for row in asked.exceptions if row["code"] == "OBSERVED_NOT_USED"]
    assert (note["file"], note["severity"]) == ("observed_margins", "note")
    assert "OBSERVED_NOT_USED" not in run(None).manifest["exceptions"]


def test_a_file_without_a_usable_row_is_refused_unless_allowed() -> None:
    useless = pa.table({"instrument": ["GE"], "date": ["2026-01-05"], "maintenance": [300.0]})
    with pytest.raises(InputError, match="observed_margins: none of its 1 rows can be used; give"):
        run(useless)
    assert hashes(run(useless, allow_empty=True)) == hashes(run(None))


def test_a_change_of_margins_is_another_input() -> None:
    higher = ACTUAL.set_column(2, "maintenance", pa.array([1650.0, 900.0, 400.0, 1700.0]))
    found = xm.attribute(scaled(), run(higher, policy=policy("scale")), threads=1)
    moved = {row["step"]: row for row in found.book if row["requirement"]}
    assert set(moved) == {"other inputs"}
    assert moved["other inputs"]["what"] == "observed_margins"
    # A later policy that scales is the policy's step.
    found = xm.attribute(run(), scaled(), threads=1)
    assert {row["step"] for row in found.book if row["requirement"]} == {"policy"}


def test_every_backend_and_number_of_threads_gives_the_same_bits() -> None:
    for more in ({"threads": 2}, {"backend": "reference"}):
        assert hashes(run(policy=policy("scale"), **more)) == hashes(scaled())


def test_a_history_of_real_margins_is_read_as_the_documentation_shows(
    real_data: Any,
) -> None:
    """Of 2001 to 2022: on a day in 2025 the last ones are old, and GE is no product of ours."""
    positions = pa.table(
        {
            "account": ["A"],
            "kind": ["future"],
            "instrument": ["ZNM5"],
            "quantity": ["5"],
            "xm": ["yes"],
        }
    )
    accounts = pa.table(
        {
            "account": ["A"],
            "origin": ["customer"],
            "ficc_role": ["sponsored_member"],
            "opted_in": ["yes"],
            "clearing_firm": ["F"],
        }
    )
    columns = {
        "observed_margins": {
            "instrument": "root",
            "date": "effective",
            "maintenance": "maintenance_usd",
        }
    }
    result = xm.run(
        positions=positions,
        accounts=accounts,
        securities=real_data("fixed_coupon_master.csv"),
        market=xm.read_market(real_data("us_treasury_par_yields.csv.gz"), as_of="2025-03-13"),
        observed_margins=real_data("cme_outright_margins.csv"),
        columns=columns,
        threads=1,
    )
    found = compared(result)
    assert list(found) == ["ZT", "ZF", "ZN", "ZB"]
    assert all(0.3 < row["ratio"] < 3.0 for row in found.values())
    counted = result.manifest["exceptions"]
    assert "CONTRACT_UNKNOWN" not in counted
    of_file = [row for row in result.exceptions if row["file"] == "observed_margins"]
    assert {row["severity"] for row in of_file} == {"note"}
    noted = [row["message"] for row in of_file]
    assert "60 rows of products that are not margined here: GE" in noted
    assert counted["OBSERVED_STALE"] == 1


def test_the_shipped_second_version_shows_them() -> None:
    rules = xm.read_policy("cme-ficc-2026-11-30").get(ObservedMarginRules)
    assert rules == ObservedMarginRules("show")
    assert xm.read_policy("cme-ficc-2026-04-30").get(ObservedMarginRules) is None
