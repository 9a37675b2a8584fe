from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table as Grid
from rich.text import Text

from crossmargin.report.console import Output
from crossmargin.results.shown import STEERING, shown


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Müller & Söhne 株式会社", "Müller & Söhne 株式会社"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\nb\tc\r\x07\x00\x7f\x9b", r"a\nb\tc\r\x07\x00\x7f\x9b"),
        ("a\u202eb\u2066c\u200f", r"a\u202eb\u2066c\u200f"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("a\u200bb\ufeffc\u00ad", r"a\u200bb\ufeffc\xad"),
        ("a\udc80", r"a\udc80"),
        ("a\U000e0041", r"a\U000e0041"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text: str, says: str) -> None:
    assert shown(text) == says


@given(st.text(st.characters()))
def test_nothing_printed_steers_a_terminal(text: str) -> None:
    file = io.StringIO()
    console = Output(file=file, width=10_000)
    console.print(Text.assemble(("[head]", "bold"), text), soft_wrap=True)
    console.print(text, soft_wrap=True)
    assert file.getvalue().count("\n") == 2  # the lines are ours alone
    grid = Grid("[bold]", title="title")
    grid.add_row(text)
    grid.add_row(Text(text))
    console.print(grid)
    printed = file.getvalue().split("\n")
    assert printed[0].startswith("[head]")
    assert not any(unicodedata.category(c) in STEERING for line in printed for c in line)


def test_styles_stay_with_their_texts() -> None:
    file = io.StringIO()
    console = Output(file=file, width=80, force_terminal=True, color_system="standard")
    console.print(Text.assemble("\x1b", ("[red]", "red"), "\u202e", ("b", "bold")))
    assert file.getvalue() == "\\x1b\x1b[31m[red]\x1b[0m\\u202e\x1b[1mb\x1b[0m\n"
