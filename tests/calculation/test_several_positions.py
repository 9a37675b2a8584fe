"""Positions given in several files: the run of one file, with each row under its own file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest

import crossmargin as xm
from crossmargin import cli
from crossmargin.calculation.store import write_run
from crossmargin.exceptions import InputError
from crossmargin.sample import AS_OF, sample_market, sample_tables, write_sample

AMOUNTS = ("accounts", "components", "breakdown", "positions", "baskets")


def plain(table: xm.Table) -> pa.Table:
    found = table.to_arrow()
    return found.drop_columns([name for name in ("run_id",) if name in found.column_names])


def test_several_tables_give_the_run_of_one() -> None:
    book = sample_tables(accounts=30)
    book = {name: book[name] for name in ("positions", "accounts", "securities")}
    whole = pa.table(book["positions"])
    market = sample_market()
    one = xm.run(**book, market=market)
    parts = [whole.slice(0, 7), whole.slice(7, 0), whole.slice(7)]
    several = xm.run(**{**book, "positions": parts}, market=market)
    for name in AMOUNTS:
        assert plain(getattr(one, name)).equals(plain(getattr(several, name))), name
    said = plain(several.exceptions)
    number = {"positions 1": 0, "positions 2": 7, "positions 3": 7}
    rows = [
        row | {"file": "positions", "row": row["row"] + number[row["file"]]}
        if row["file"] in number
        else row
        for row in said.to_pylist()
        if row["message"] != "the file has no row"
    ]
    texts = [str(row) for row in plain(one.exceptions).to_pylist() if row["row"] is not None]
    assert sorted(str(row) for row in rows if row["row"] is not None) == sorted(texts)
    assert several.manifest["inputs"]["positions"]["names"] == list(number)
    assert several.manifest["inputs"]["positions"]["rows"] == [7, 0, len(whole) - 7]
    (empty,) = said.filter(pc.equal(said["message"], "the file has no row")).to_pylist()
    assert empty["file"] == "positions 2"
    days = [
        next(iter(xm.replay(**{**book, "positions": p}, markets=[market]))) for p in (whole, parts)
    ]
    for alone, joined in [days]:
        assert alone.requirements.requirement.cents.tolist() == (
            joined.requirements.requirement.cents.tolist()
        )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_sample(folder, accounts=30)
    whole = (folder / "positions.csv").read_text().splitlines()
    (folder / "a").mkdir()
    (folder / "a.csv").write_text("\n".join(whole[:20]))
    bad = f"{whole[20].split(',')[0]},future,ZNM26,half,true" + "," * (whole[0].count(",") - 4)
    (folder / "a" / "a.csv").write_text("\n".join([whole[0], *whole[20:], bad]))
    return folder


def book(folder: Path) -> dict[str, Path]:
    return {name: folder / f"{name}.csv" for name in ("accounts", "securities")}


def test_rows_are_rejected_under_their_own_file_and_the_run_is_made_again(
    files: Path, tmp_path: Path
) -> None:
    market = xm.read_market(files / "par_yields.csv", as_of=AS_OF, basis=files / "basis.csv")
    positions = [files / "a.csv", files / "a" / "a.csv"]
    run = xm.run(positions=positions, **book(files), market=market)
    found = run.exceptions.to_arrow()
    (bad,) = [row for row in found.to_pylist() if '"half"' in row["message"]]
    count = len((files / "a" / "a.csv").read_text().splitlines()) - 1
    assert (bad["file"], bad["row"]) == ("positions a.csv (2)", count)
    out = write_run(run, tmp_path / "run")
    assert xm.read_run(out).stages.parsed.trades.files == run.stages.parsed.trades.files
    again = xm.rebuild_run(out)
    assert again.exceptions.to_arrow().equals(found)


def test_one_file_in_a_list_is_that_file(files: Path) -> None:
    market = sample_market()
    alone, listed = (
        xm.run(positions=one, **book(files), market=market)
        for one in (files / "a.csv", [files / "a.csv"])
    )
    assert plain(alone.exceptions).equals(plain(listed.exceptions))
    assert alone.manifest["inputs"] == listed.manifest["inputs"]


def test_the_same_file_twice_is_noted(files: Path) -> None:
    twice = [files / "a.csv", files / "a.csv"]
    with pytest.warns(xm.InputWarning, match="more than once"):
        run = xm.run(positions=twice, **book(files), market=sample_market())
    codes = run.manifest["exceptions"]
    assert codes["FILE_REPEATED"] == codes["INPUT_REPEATED"] == 1


def test_no_file_is_refused(files: Path) -> None:
    with pytest.raises(InputError, match="positions: no file is given"):
        xm.run(positions=[], **book(files), market=sample_market())


def test_a_bad_file_is_named(files: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("account,kind\nA,cash\n")
    with pytest.raises(InputError, match=r"positions other.csv: columns `instrument`"):
        xm.run(positions=[files / "a.csv", other], **book(files), market=sample_market())


def test_a_columns_file_about_one_file_leaves_the_others_as_they_are(
    files: Path, tmp_path: Path
) -> None:
    renamed = tmp_path / "konto.csv"
    text = (files / "a.csv").read_text()
    renamed.write_text(text.replace("account", "Konto", 1))
    positions = [renamed, files / "a" / "a.csv"]
    market = sample_market()
    names = {"positions": {"account": "Konto"}}
    found = xm.run(positions=positions, **book(files), market=market, columns=names)
    plain_names = [files / "a.csv", files / "a" / "a.csv"]
    expected = xm.run(positions=plain_names, **book(files), market=market)
    for name in AMOUNTS:
        assert plain(getattr(found, name)).equals(plain(getattr(expected, name))), name
    said = {e["file"] for e in found.exceptions if "not about this file" in e["message"]}
    assert said == {"positions a.csv"}
    with pytest.raises(InputError, match="no column `Konto`"):
        xm.run(positions=files / "a.csv", **book(files), market=market, columns=names)


def test_the_command_takes_several(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"--positions={files / 'a.csv'}", f"--positions={files / 'a' / 'a.csv'}"]
    arguments += [f"--{name}={path}" for name, path in book(files).items()]
    arguments += [f"--par-yields={files / 'par_yields.csv'}", f"--as-of={AS_OF}"]
    assert cli.main(["check", *arguments]) == 3
    shown = capsys.readouterr().out
    assert "positions a.csv (2)" in shown
    assert cli.main(["run", *arguments, f"--out={tmp_path / 'run'}"]) == 3
    assert xm.read_run(tmp_path / "run").manifest["inputs"]["positions"]["names"] == [
        "positions a.csv (1)",
        "positions a.csv (2)",
    ]
