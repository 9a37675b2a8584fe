"""Rows of a result as a table for the terminal. Needs the extra `cli`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

TOP = 10
"""Rows of a table, where nothing else is said."""


def print_rows(
    title: str,
    rows: Iterable[Mapping[str, Any]],
    names: Sequence[str],
    console: Console,
    *,
    cell: Callable[[str, Any], str],
    heads: Mapping[str, str] | None = None,
    most: int | None = TOP,
    mark: Callable[[str, Mapping[str, Any]], str] | None = None,
) -> None:
    """Print some columns of the first rows; nothing where there is no row.

    Parameters
    ----------
    title : str
    rows : iterable of mapping
    names : sequence of str
        The columns.
    console : Console
    cell : callable
        The text of a value, by the name of its column.
    heads : mapping of str, optional
        What columns are called; else as they are named, with spaces.
    most : int, optional
        Rows; all if None.
    mark : callable, optional
        What follows a cell, by the name of its column and the row.
    """
    rows, heads = list(rows), heads or {}
    if not rows:
        return
    more = "" if most is None or len(rows) <= most else f" (the first {most} of {len(rows):,})"
    grid = Grid(
        title=title + more,
        title_justify="left",
        box=box.SIMPLE_HEAD if console.is_terminal else None,
        pad_edge=False,
    )
    for name in names:
        numeric = any(isinstance(row[name], int | float | Decimal) for row in rows)
        said = heads.get(name, name.replace("_", " "))
        grid.add_column(Text(said), justify="right" if numeric else "left")
    for row in rows[:most]:
        marks = ["" if mark is None else mark(name, row) for name in names]
        cells = [cell(name, row[name]) for name in names]
        grid.add_row(*(Text(text + after) for text, after in zip(cells, marks, strict=True)))
    console.print()
    console.print(grid)
