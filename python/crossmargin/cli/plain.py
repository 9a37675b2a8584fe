"""The plain command line of a run, `crossmargin run --positions FILE ...`, read without typer.

Importing typer and building its parsers take as long as margining a small book. So a command line
that says nothing but options and values, each in full and once, is read here; any other, such as
one that asks for help or has a mistake in it, is left to typer, whose word is the same on these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def _count(least: int) -> Callable[[str], int | None]:
    """Return a reader of whole numbers; it returns None for what typer should look at."""

    def read(text: str) -> int | None:
        plain = text.isascii() and text.isdigit() and len(text) < 10
        return int(text) if plain and int(text) >= least else None

    return read


def _several(text: str) -> list[Path]:
    return [Path(text)]


VALUES: Mapping[str, Callable[[str], Any]] = {
    "positions": _several,
    "accounts": Path,
    "securities": Path,
    "par_yields": _several,
    "as_of": str,
    "firms": Path,
    "basis": Path,
    "settlements": Path,
    "fixings": Path,
    "sofr": Path,
    "spreads": Path,
    "policy": str,
    "ficc_cube": Path,
    "cme_cube": Path,
    "span_file": Path,
    "volumes": Path,
    "observed_margins": Path,
    "columns": Path,
    "cycle": str,
    "out": Path,
    "threads": _count(1),
    "max_rejected": _count(0),
}
"""The options with a value, and how it is read."""
FLAGS = ("sample", "allow_empty")


def plain_run(arguments: Sequence[str]) -> dict[str, Any] | None:
    """Return the options of a plain `crossmargin run`, or None if typer should read them.

    Parameters
    ----------
    arguments
        Those of the command line, without the program's name.

    Returns
    -------
    dict or None
        The options that are given, by their names.
    """
    if arguments[:1] != ["run"]:
        return None
    given: dict[str, Any] = {}
    rest = iter(arguments[1:])
    for word in rest:
        name = word.removeprefix("--").replace("-", "_")
        # An underscore in the word itself is a mistake.
        if word != f"--{name.replace('_', '-')}" or name in given:
            return None
        if name in FLAGS:
            given[name] = True
            continue
        text = next(rest, "")
        # Typer has its own view of an empty value, and of bytes that are no text.
        if name not in VALUES or not text or text.startswith("-") or not text.isprintable():
            return None
        given[name] = VALUES[name](text)
        if given[name] is None:
            return None
    return given if "out" in given else None
