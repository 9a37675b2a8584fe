"""The console that reports print to; texts from files cannot control it."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table as Grid
from rich.text import Span, Text

from crossmargin.results.shown import shown


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
