from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import crossmargin as xm
from crossmargin import cli
from crossmargin.cli.finished import finished_run
from crossmargin.exceptions import InputError
from crossmargin.market.curve import Curve
from crossmargin.sample import AS_OF, TABLES, sample_tables, write_sample

CHARGES = "cme-ficc-2026-11-30-charges"
OWN = 'name = "own"\ntitle = "own"\nauthority = "own"\nextends = "cme-ficc-2026-04-30"\n'


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_sample(folder, accounts=30)
    (folder / "own.toml").write_text(OWN)
    (folder / "columns.toml").write_text('[firms]\nclearing_firm = "Firm"\n')
    return folder


def run_of(folder: Path, **more: Any) -> xm.RunResult:
    market = xm.read_market(folder / "par_yields.csv", as_of=AS_OF, basis=folder / "basis.csv")
    book = {name: folder / f"{name}.csv" for name in ("positions", "accounts", "securities")}
    return xm.run(**book, market=market, **more)


def question(run: xm.RunResult) -> dict[str, object]:
    return xm.Session(run).what_if(run.accounts["account"][3].as_py(), {"ZNU26": -5})


@pytest.mark.parametrize("policy", [None, CHARGES, "own.toml"])
def test_stages_are_made_again_from_the_files(
    files: Path, tmp_path: Path, policy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(files, policy=files / policy if policy and policy in "own.toml" else policy)
    out = run.write(tmp_path / "run")
    monkeypatch.chdir(tmp_path)  # Paths in the manifest do not depend on it.
    read = xm.rebuild_run(out)
    assert read.manifest == xm.read_run(out).manifest
    assert read.accounts.to_arrow().equals(run.accounts.to_arrow())
    assert question(read) == question(run)


def test_relative_paths_are_found_from_elsewhere(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    out = run_of(Path()).write(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert xm.rebuild_run(out).stages is not None


def lines(file: Path) -> None:
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize("name", ["positions", "accounts", "securities", "par_yields", "basis"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [(Path.unlink, "no such file"), (lines, "was changed after the run")],
)
def test_a_file_that_is_gone_or_changed_is_named(
    files: Path, tmp_path: Path, name: str, damage: Callable[[Path], None], said: str
) -> None:
    folder = shutil.copytree(files, tmp_path / "files")
    out = run_of(folder).write(tmp_path / "run")
    damage(folder / f"{name}.csv")
    with pytest.raises(InputError, match=rf"{name}.*{name}\.csv.*{said}") as caught:
        xm.rebuild_run(out)
    assert "\n" not in str(caught.value)


def test_a_policy_or_columns_file_that_changed_is_named(files: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(files, tmp_path / "files")
    more = {"policy": folder / "own.toml", "columns": folder / "columns.toml"}
    out = run_of(folder, **more).write(tmp_path / "run")
    assert xm.rebuild_run(out).stages is not None
    (folder / "columns.toml").write_text('[firms]\nclearing_firm = "Member"\n')
    with pytest.raises(InputError, match=r"columns: .*columns\.toml was changed after the run"):
        xm.rebuild_run(out)
    (folder / "own.toml").write_text(OWN + "[agreement]\nminimum_saving.value = 1.0\n")
    with pytest.raises(InputError, match=r"policy"):
        xm.rebuild_run(out)


def test_yields_of_several_files_are_found(files: Path, tmp_path: Path) -> None:
    rows = (files / "par_yields.csv").read_text().splitlines(keepends=True)
    parts = []
    for number, part in enumerate((rows[1:3000], rows[3000:])):
        parts.append(tmp_path / f"yields{number}.csv")
        parts[-1].write_text("".join((rows[0], *part)))
    market = xm.read_market(parts, as_of=AS_OF, basis=files / "basis.csv")
    book = {name: files / f"{name}.csv" for name in ("positions", "accounts", "securities")}
    run = xm.run(**book, market=market)
    out = run.write(tmp_path / "run")
    assert question(xm.rebuild_run(out)) == question(run)
    parts[1].unlink()
    with pytest.raises(InputError, match=r"yields1\.csv: no such file"):
        xm.rebuild_run(out)


def test_tables_are_asked_for_and_checked(files: Path, tmp_path: Path) -> None:
    tables = sample_tables(accounts=30)
    book = {name: tables[name] for name in ("positions", "accounts", "securities")}
    market = xm.sample_market()
    run = xm.run(**book, market=market)
    out = run.write(tmp_path / "run")
    with pytest.raises(InputError, match=r"accounts: the run took a table.*xm\.rebuild_run"):
        xm.rebuild_run(out)
    assert question(xm.rebuild_run(out, market=market, inputs=book)) == question(run)
    other = {**book, "positions": sample_tables(accounts=29)["positions"]}
    with pytest.raises(InputError, match="positions: is not what the run read"):
        xm.rebuild_run(out, market=market, inputs=other)
    with pytest.raises(InputError, match="inputs: the run had no firms"):
        xm.rebuild_run(out, market=market, inputs={**book, "firms": book["accounts"]})


def test_a_run_on_a_moved_market_is_not_made_again_without_it(files: Path, tmp_path: Path) -> None:
    run = run_of(files)
    assert run.stages is not None
    market = run.stages.models.market
    moved = market.with_curve(Curve(market.as_of, market.curve.log_df * 1.01))
    after = xm.rerun(run, moved)
    out = after.write(tmp_path / "run")
    with pytest.raises(InputError, match="the inputs give other results than these"):
        xm.rebuild_run(out)
    assert question(xm.rebuild_run(out, market=moved)) == question(after)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": None},
        {"inputs": {}},
        {"inputs": {"positions": 1}},
        {"policy": None},
        {"policy": {"name": 5}},
        {"policy": {"name": "nothing", "hash": ""}},
        {"cycle": "never"},
        {"as_of": "yesterday"},
    ],
)
def test_a_manifest_that_does_not_say_gets_one_line(
    files: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    out = run_of(files).write(tmp_path / "run")
    said = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**said, **change}))
    with pytest.raises(InputError) as caught:
        xm.rebuild_run(out)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", [None, 5, "", "/dev/zero", "/", "a\0b", ["x"]])
def test_a_path_that_is_no_file_gets_one_line(files: Path, tmp_path: Path, path: object) -> None:
    out = run_of(files).write(tmp_path / "run")
    said = json.loads((out / "manifest.json").read_text())
    said["inputs"]["positions"]["path"] = path
    (out / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match="positions") as caught:
        xm.rebuild_run(out)
    assert "\n" not in str(caught.value)


def test_the_command_s_runs_are_found_with_and_without_their_stages(
    files: Path, tmp_path: Path
) -> None:
    own = [f"--{name.replace('_', '-')}={files / name}.csv" for name in TABLES]
    for options in (["--sample"], [*own, f"--as-of={AS_OF}"]):
        out = tmp_path / "run"
        assert cli.main(["run", f"--out={out}", *options]) in (0, cli.REJECTED)
        kept = finished_run(out)
        (out / "stages.bin").unlink()
        assert question(finished_run(out)) == question(kept)


def test_stages_that_the_manifest_does_not_name_are_not_read(files: Path, tmp_path: Path) -> None:
    run = run_of(files)
    bare = run.write(tmp_path / "bare")
    shutil.copy(xm.write_run(run, tmp_path / "kept") / "stages.bin", bare)
    assert question(finished_run(bare)) == question(run)


def test_runs_are_attributed_with_and_without_their_stages(files: Path, tmp_path: Path) -> None:
    before, after = run_of(files), run_of(files, policy=CHARGES)
    kept = [xm.write_run(run, tmp_path / f"kept{n}") for n, run in enumerate((before, after))]
    bare = before.write(tmp_path / "bare")
    (kept[1] / "stages.bin").unlink()
    found, expected = xm.attribute(bare, kept[1]), xm.attribute(before, after)
    assert found.steps.to_arrow().equals(expected.steps.to_arrow())


def test_the_command_names_a_table_that_no_file_holds(tmp_path: Path) -> None:
    tables = sample_tables(accounts=30)
    book = {name: tables[name] for name in ("positions", "accounts", "securities")}
    out = xm.run(**book, market=xm.sample_market()).write(tmp_path / "run")
    with pytest.raises(InputError, match="the run took a table, and no file holds it"):
        finished_run(out)


@pytest.mark.parametrize("policy", [None, CHARGES, "cme-ficc-2026-11-30-span"])
def test_a_run_on_real_figures_is_made_again_and_asked(
    real_data: Callable[[str], Path], tmp_path: Path, policy: str | None
) -> None:
    yields = real_data("us_treasury_par_yields.csv.gz")
    lines = real_data("fixed_coupon_master.csv").read_text().splitlines()[1:]
    cells = [line.split(",") for line in lines]
    tables = {
        "securities": [
            "cusip,coupon_pct,issue_date,maturity_date,type",
            *(",".join(row[:4]) + "," for row in cells),
        ],
        "accounts": [
            "account,origin,ficc_role,opted_in,clearing_firm",
            "A,customer,sponsored_member,true,FCM",
        ],
        "positions": [
            "account,kind,instrument,quantity,xm",
            "A,cash,91282CMM0,100000000,true",
            "A,future,ZNM25,-1100,true",
            "A,future,ZTM5,300,false",
        ],
    }
    for name, rows in tables.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(rows))
    run = xm.run(
        **{name: tmp_path / f"{name}.csv" for name in tables},
        market=xm.read_market(yields, as_of="2025-03-13"),
        policy=policy,
    )
    again = xm.rebuild_run(run.write(tmp_path / "run"))
    for trades in ({}, {"ZNM25": 200}, {"91282CMM0": -5e7, "ZTM5": -40}):
        session = xm.Session(again)
        scope = session.scope(trades)
        assert scope.cached is not None
        assert scope.cached.ask(0, scope.trade_legs(0, trades, xm=True)) is not None
        (expected,) = xm.Session(run).what_ifs([("A", trades)]).to_arrow().to_pylist()
        assert session.what_if("A", trades) == expected
        assert expected["requirement"] is not None
