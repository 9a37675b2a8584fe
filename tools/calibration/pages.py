"""Tables and figures of the page."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import matplotlib as mpl
from matplotlib.figure import Figure

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    first = list(head)
    lines = [first, ["---"] * len(first), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


@contextmanager
def style(name: str) -> Iterator[None]:
    """Draw so that a figure of a name has the same bytes each time."""
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "font.size": 9.0}):
        yield


def svg(figure: Figure) -> str:
    """Return a figure as SVG, without a date or the version of what drew it."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    # Lines end without blanks, as everywhere.
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
