"""A plain command line is read without typer, and as typer reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from crossmargin.cli import app as application
from crossmargin.cli.plain import FLAGS, VALUES, plain_run

GIVEN = ["--positions", "p.csv", "--accounts", "a.csv", "--securities", "s.csv"]


def by_typer(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any] | None:
    """Return the options that typer gives to the command and that are not its defaults."""
    seen: list[dict[str, Any]] = []
    run = get_command(application.app).commands["run"]  # type: ignore[attr-defined]
    monkeypatch.setattr(run, "callback", lambda **options: seen.append(options))
    with run.make_context("run", arguments[1:]) as context:
        run.invoke(context)
    defaults = {parameter.name: (parameter.default, ()) for parameter in run.params}
    return {name: value for name, value in seen[0].items() if value not in defaults[name]}


def test_every_option_of_a_run_is_known() -> None:
    run = get_command(application.app).commands["run"]  # type: ignore[attr-defined]
    names = {parameter.name: parameter for parameter in run.params if parameter.name != "help"}
    assert {*names} == {*VALUES, *FLAGS}
    assert {name for name in names if names[name].is_flag} == {*FLAGS}
    for name, parameter in names.items():
        assert parameter.opts == [f"--{name.replace('_', '-')}"]
        assert not parameter.secondary_opts


def test_it_reads_what_typer_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["run", *GIVEN, "--par-yields", "y.csv", "--as-of", "2026-06-10", "--out", "o"]
    arguments += ["--threads", "2", "--max-rejected", "0", "--allow-empty", "--cycle", "ITD"]
    arguments += ["--policy", "cme-ficc-2026-04-30", "--basis", "a b.csv", "--sample"]
    read = plain_run(arguments)
    assert read is not None
    assert read["out"] == Path("o")
    assert read["par_yields"] == [Path("y.csv")]
    assert read == by_typer(arguments, monkeypatch)


TEXTS = st.one_of(
    st.sampled_from(["2", "0", "007", "1_0", " 2", "-1", "2.0", "²", "EOD", "é", "a=b", "-", ""]),
    st.text(max_size=5),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*VALUES, *FLAGS]).map(lambda name: f"--{name.replace('_', '-')}"),
            TEXTS,
        ),
        max_size=4,
    )
)
def test_what_it_reads_typer_reads_alike(options: list[tuple[str, str]]) -> None:
    words = [
        word
        for name, text in options
        for word in ((name,) if name[2:].replace("-", "_") in FLAGS else (name, text))
    ]
    arguments = ["run", *words, "--out", "results"]
    read = plain_run(arguments)
    if read is not None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            # What equals its default is not told apart from what is not given.
            assert by_typer(arguments, monkeypatch) == {
                name: value for name, value in read.items() if (name, value) != ("cycle", "EOD")
            }


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["check", "--out", "o"],
        ["--version"],
        ["run", "--help"],
        ["run", "--out"],
        ["run", "--out", ""],
        ["run", "--out=o"],
        ["run", "--out", "o", "--out", "o"],
        ["run", "--out", "o", "positions.csv"],
        ["run", "--out", "o", "--"],
        ["run", "--out", "--sample"],
        ["run", "--out", "o", "--as_of", "2026-06-10"],
        ["run", "--out", "o", "--thread", "2"],
        ["run", "--out", "o", "--threads", "0"],
        ["run", "--out", "o", "--threads", "two"],
        ["run", "--out", "o", "--max-rejected", "-1"],
        ["run", "--out", "o\udc80"],
        ["run", "out", "o"],
        ["run", "--sample"],
    ],
)
def test_it_leaves_the_rest_to_typer(arguments: list[str]) -> None:
    assert plain_run(arguments) is None
