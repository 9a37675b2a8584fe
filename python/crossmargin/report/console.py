"""The console that reports print to; texts from files cannot control it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table as Grid
from rich.text import Span, Text

from crossmargin.results.shown import shown

NO_HEADS: Mapping[str, str] = {}


class Output(Console):
    """A console that prints every text as `shown`, and treats none as markup.

    Parameters
    ----------
    **options
        As in rich's console.
    """

    def __init__(self, **options: object) -> None:
        plain = {"markup": False, "highlight": False, "emoji": False}
        super().__init__(**{**plain, **options})  # type: ignore[arg-type]

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Return the segments of what is printed, or of a part of it such as a cell."""
        if isinstance(renderable, str):
            renderable = self.render_str(renderable)
        return super().render(
            _shown(renderable) if isinstance(renderable, Text) else renderable, options
        )


def new_grid(console: Console, title: str | None = None) -> Grid:
    """Return an empty grid in the style of all reports: with a rule only on a terminal."""
    return Grid(
        title=None if title is None else Text(title),
        title_justify="left",
        box=box.SIMPLE_HEAD if console.is_terminal else None,
        pad_edge=False,
    )


def print_rows(
    title: str,
    rows: Iterable[Mapping[str, Any]],
    names: Sequence[str],
    console: Console,
    *,
    cell: Callable[[str, Any], str],
    most: int | None,
    heads: Mapping[str, str] = NO_HEADS,
) -> None:
    """Print some columns of the first rows, below an empty line; nothing where there is no row.

    Parameters
    ----------
    title
        Of the table. How many rows are shown is added where these are not all.
    rows
        Values by column.
    names
        The columns.
    console
        Where to print.
    cell
        Returns the text of a value of a column.
    most
        Rows to print; None for all.
    heads
        Heads of columns that are not called as their names say.
    """
    rows = list(rows)
    if not rows:
        return
    more = "" if most is None or len(rows) <= most else f" (the first {most} of {len(rows):,})"
    grid = new_grid(console, title + more)
    for name in names:
        numeric = any(isinstance(row[name], int | float | Decimal) for row in rows)
        head = heads.get(name, name.replace("_", " "))
        grid.add_column(head, justify="right" if numeric else "left")
    for row in rows[:most]:
        grid.add_row(*(Text(cell(name, row[name])) for name in names))
    console.print()
    console.print(grid)


def _shown(text: Text) -> Text:
    """Return a styled text as `shown`, with its styles in place."""
    parts = [shown(character) for character in text.plain]
    plain = "".join(parts)
    if plain == text.plain:
        return text
    at = [0]
    for part in parts:
        at.append(at[-1] + len(part))
    copy = text.blank_copy(plain)
    copy.spans = [Span(at[span.start], at[span.end], span.style) for span in text.spans]
    return copy
