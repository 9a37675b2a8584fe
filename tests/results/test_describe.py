"""The page of the columns says what the schemas say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from crossmargin.book import schemas
from crossmargin.results.describe import (
    INPUTS,
    MARK,
    filled,
    input_table,
    result_table,
    tables,
)
from crossmargin.results.schema import TEXT, Column
from crossmargin.results.table import MONEY

PAGE = Path(__file__).resolve().parents[2] / "docs/columns.md"


def test_the_page_is_what_the_schemas_say() -> None:
    page = PAGE.read_text("utf-8")
    assert filled(page) == page, "run `python -m crossmargin.results.describe docs/columns.md`"


def test_the_page_has_every_table_once() -> None:
    page = PAGE.read_text("utf-8")
    found = [mark[2] for mark in MARK.finditer(page)]
    assert sorted(found) == sorted(tables())
    assert page.count("<!-- generated:") == len(found)


def test_a_result_column_is_a_line() -> None:
    columns = (
        Column("name", TEXT, "What it is called."),
        Column("amount", MONEY, "What it costs.", "USD", "nobody knows", "ours"),
    )
    assert result_table(columns).splitlines()[2:] == [
        "| `name` | string | What it is called. |  |",
        "| `amount` | decimal128(20, 2), USD | What it costs. (ours) | nobody knows |",
    ]


def test_an_input_column_is_a_line() -> None:
    columns = (
        schemas.Column("name", required=True, meaning="What it is called."),
        schemas.Column("side", "choice", required=True, blank=True, choices=("a", "b")),
        schemas.Column("rate", "number", low=-5.0, high=1e6, unit="percent", default=1.5),
        schemas.Column("open", "flag", default=False),
        schemas.Column("size", "number"),
    )
    assert input_table(columns).splitlines()[2:] == [
        "| `name` | text | What it is called. | yes |",
        "| `side` | `a`, `b` |  | the column |",
        "| `rate` | percent, -5 to 1,000,000 |  | no: 1.5 |",
        "| `open` | yes/no |  | no |",
        "| `size` | number |  | no |",
    ]


@pytest.mark.parametrize("schema", INPUTS, ids=lambda schema: schema.name)
def test_every_input_column_says_what_it_is(schema: schemas.Schema) -> None:
    for column in schema.columns:
        assert column.meaning.endswith("."), column.name
        assert "|" not in column.meaning, column.name


def test_the_prose_of_a_page_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- generated: stamps -->\nold\n<!-- end -->\nafter\n")
    command = [sys.executable, "-m", "crossmargin.results.describe", str(page)]
    subprocess.run(command, check=True)
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert re.search(r"\| `run_id` \|", page.read_text())
    assert "old" not in lines


def test_a_table_that_there_is_none_of_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        filled("<!-- generated: nothing -->\n<!-- end -->\n")
