"""How a table looks where it is the last thing on a line."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa

from crossmargin.results.table import Table, money


def test_the_first_rows_are_shown_in_columns() -> None:
    table = pa.table(
        {
            "account": ["A", "LONGER", None],
            "saving": money(np.array([123456, -5, 0]), np.array([True, True, False])),
            "v": [1234567.8, 0.123456789, float("nan")],
            "day": [datetime.date(2025, 3, 13)] * 3,
        }
    )
    assert repr(Table(table)).splitlines() == [
        "<Table 3 rows x 4 columns>",
        "account    saving          v         day",
        "A        1,234.56  1,234,568  2025-03-13",
        "LONGER      -0.05   0.123457  2025-03-13",
        "null         null        nan  2025-03-13",
    ]


def test_what_is_left_out_is_told() -> None:
    table = pa.table({f"column_{n:02}": ["x" * 50] * 1234 for n in range(9)})
    lines = repr(Table(table)).splitlines()
    assert lines[0] == "<Table 1,234 rows x 9 columns>"
    assert lines[1].split() == ["column_00", "column_01", "column_02"]
    assert lines[2].split() == ["x" * 27 + "..."] * 3
    assert lines[12] == "... 1,224 more rows"
    assert lines[13].startswith("... more columns: column_03, column_04")
    assert max(map(len, lines)) <= 100


def test_a_table_without_rows_or_columns_is_shown() -> None:
    assert repr(Table(pa.table({"a": pa.array([], pa.string())}))).splitlines() == [
        "<Table 0 rows x 1 columns>",
        "a",
    ]
    assert repr(Table(pa.table({}))) == "<Table 0 rows x 0 columns>"


def test_nothing_of_a_file_reaches_the_terminal_or_the_page_as_it_is() -> None:
    table = Table(pa.table({"<b>\x1b[2J": ["<script>\u202e", "a&b"]}))
    assert "\x1b" not in repr(table)
    assert "\u202e" not in repr(table)
    html = table._repr_html_()
    assert "<script>" not in html
    assert r"&lt;script&gt;\u202e" in html
    assert r"<th>&lt;b&gt;\x1b[2J</th>" in html
    assert "<td>a&amp;b</td>" in html
    assert "2 rows x 1 columns" in html
