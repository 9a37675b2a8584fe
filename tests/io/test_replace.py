from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path

import pytest

from crossmargin.io import replace
from crossmargin.io.replace import recover, replacing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make(target: Path, text: str) -> None:
    with replacing(target) as fresh:
        fresh.mkdir()
        (fresh / "file").write_text(text)


@pytest.fixture(params=["exchange", "renames"])
def out(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where to write, on a system that exchanges names in one step and one that cannot."""
    if request.param == "renames":
        monkeypatch.setattr(replace, "_exchange", lambda *_: False)
    return tmp_path / "out"


def test_a_directory_takes_the_place_of_nothing_an_empty_and_a_full_one(out: Path) -> None:
    make(out, "1")
    make(out, "2")
    assert (out / "file").read_text() == "2"
    (out / "file").unlink()
    make(out, "3")
    assert (out / "file").read_text() == "3"
    assert names(out.parent) == ["out"]


def test_an_error_leaves_what_was_there(out: Path) -> None:
    make(out, "1")
    with contextlib.suppress(ZeroDivisionError), replacing(out) as fresh:
        fresh.mkdir()
        (fresh / "file").write_text("2")
        raise ZeroDivisionError
    assert (out / "file").read_text() == "1"
    assert names(out.parent) == ["out"]


def test_a_rename_that_fails_brings_back_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    make(out, "1")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.suffix == ".partial":
            raise OSError("moved away")
        return rename(self, target)

    monkeypatch.setattr(replace, "_exchange", lambda *_: False)
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="moved away"):
        make(out, "2")
    assert (out / "file").read_text() == "1"
    assert names(tmp_path) == ["out"]


def test_what_was_added_in_the_meantime_is_kept(out: Path) -> None:
    make(out, "1")
    with replacing(out, lambda folder: ["mine"] if (folder / "mine").exists() else []) as fresh:
        fresh.mkdir()
        (out / "mine").write_text("mine")
    assert (out / "mine").read_text() == "mine"
    assert names(out.parent) == ["out"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_for_the_last_step(
    out: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Heard(BaseException):
        pass

    def hear(*_: object) -> None:
        raise Heard

    make(out, "1")
    put = replace._put

    def interrupted(fresh: Path, target: Path) -> None:
        signal.raise_signal(number)
        put(fresh, target)
        signal.raise_signal(number)

    monkeypatch.setattr(replace, "_put", interrupted)
    before = signal.signal(number, hear)
    try:
        with pytest.raises(Heard):
            make(out, "2")
        assert signal.getsignal(number) is hear
    finally:
        signal.signal(number, before)
    assert (out / "file").read_text() == "2"
    assert names(out.parent) == ["out"]


def test_another_thread_writes_too(out: Path) -> None:
    make(out, "1")
    thread = threading.Thread(target=make, args=(out, "2"))
    thread.start()
    thread.join()
    assert (out / "file").read_text() == "2"


def dead(out: Path, *endings: str) -> None:
    """Leave what a killed process leaves."""
    out.with_name(".out.0123abcd.lock").touch()
    for ending in endings:
        folder = out.with_name(f".out.0123abcd.{ending}")
        folder.mkdir()
        (folder / "file").write_text(ending)


@pytest.mark.parametrize("endings", [(), ("partial",), ("old",), ("partial", "old")])
def test_what_a_killed_process_left_goes(tmp_path: Path, endings: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    if endings != ("partial", "old"):
        make(out, "there")
    dead(out, *endings)
    recover(out)
    # Between the two renames what was there before is put back.
    assert (out / "file").read_text() == ("old" if len(endings) == 2 else "there")
    assert names(tmp_path) == ["out"]


def test_what_was_made_where_the_old_results_stood_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    dead(out, "partial", "old")
    out.mkdir()
    (out / "mine").touch()
    before = names(tmp_path)
    recover(out)
    assert names(out) == ["mine"]
    assert names(tmp_path) == before


def test_what_is_not_of_a_dead_process_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in (".out.0123abcd.partial", ".out.x.lock", ".outer.0123abcd.lock", ".out.0123abce"):
        (tmp_path / name).mkdir()
    (tmp_path / ".out.0123abcf.lock").write_text("mine")
    (tmp_path / ".out.0123abc0.lock").symlink_to(tmp_path / ".out.0123abcf.lock")
    os.mkfifo(tmp_path / ".out.0123abc1.lock")
    before = names(tmp_path)
    with replacing(out) as fresh:
        fresh.mkdir()
        recover(out)
        assert fresh.exists()
    out.rmdir()
    assert names(tmp_path) == before


def test_two_write_at_once(out: Path) -> None:
    with replacing(out) as one, replacing(out) as other:
        for fresh in (one, other):
            fresh.mkdir()
            (fresh / "file").write_text(fresh.name)
        make(out, "3")
    assert (out / "file").read_text() == one.name
    assert names(out.parent) == ["out"]
