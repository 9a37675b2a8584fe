"""Texts and tables as people see them, made safe for a terminal or a web page."""

from __future__ import annotations

import textwrap
import unicodedata
from decimal import Decimal
from typing import Any

import pyarrow as pa

ROWS = 10
WIDTH = 100
LONGEST_CELL = 30
STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's control and format characters (with those that turn the direction of text), lone
surrogates, and separators of lines and paragraphs."""


def shown(text: str) -> str:
    r"""Return a text with each character that could control a terminal escaped, as `\x1b`."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in STEERING
        else character
        for character in text
    )


def as_text(table: pa.Table) -> str:
    """Return a table's size, and the first rows of as many columns as fit, as text."""
    lines: list[list[str]] = [[], *([] for _ in range(min(ROWS, table.num_rows)))]
    fitting, used = 0, 0
    for name, column in zip(table.column_names, table.columns, strict=True):
        cells = [shown(name), *map(_cell, column.slice(0, ROWS).to_pylist())]
        width = max(map(len, cells))
        used += width + 2
        if fitting and used > WIDTH:
            break
        left = pa.types.is_string(column.type) or pa.types.is_dictionary(column.type)
        for line, cell in zip(lines, cells, strict=True):
            line.append(cell.ljust(width) if left else cell.rjust(width))
        fitting += 1
    text = [f"<Table {_size(table)}>", *("  ".join(line).rstrip() for line in lines if line)]
    more = table.num_rows - ROWS
    if more > 0:
        text.append(f"... {more:,} more row{'s' * (more > 1)}")
    rest = ", ".join(map(shown, table.column_names[fitting:]))
    if rest:
        text += textwrap.wrap(f"... more columns: {rest}", WIDTH)
    return "\n".join(text)


def as_html(table: pa.Table) -> str:
    """Return a table's size and the first rows of all columns, as HTML."""
    # Only notebooks ask for it.
    from html import escape

    head = "".join(f"<th>{escape(shown(name))}</th>" for name in table.column_names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(cell))}</td>" for cell in row.values()) + "</tr>"
        for row in table.slice(0, ROWS).to_pylist()
    )
    return (
        f"<table><caption>{_size(table)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _size(table: pa.Table) -> str:
    return f"{table.num_rows:,} rows x {table.num_columns:,} columns"


def _cell(value: Any) -> str:
    """Return one value, short and printable."""
    if value is None:
        return "null"
    if isinstance(value, Decimal):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.6g}"
    text = shown(str(value))
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 3] + "..."
