from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from crossmargin.report.progress import DelayedProgress


def shown(*, terminal: bool, patience: float, seconds: float) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=80)
    with DelayedProgress(console, patience=patience) as progress:
        progress("margin at CME", 0.5)
        time.sleep(seconds)
        progress("writing", 1.0)
    return file.getvalue()


def test_it_appears_only_after_a_while() -> None:
    assert "margin at CME" in shown(terminal=True, patience=0.01, seconds=0.3)
    assert "margin at CME" not in shown(terminal=True, patience=10.0, seconds=0.01)


def test_nothing_is_shown_where_output_is_piped() -> None:
    assert shown(terminal=False, patience=0.0, seconds=0.05) == ""


def test_an_error_passes_through() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        DelayedProgress(Console(file=io.StringIO(), force_terminal=True)),
    ):
        raise ZeroDivisionError
