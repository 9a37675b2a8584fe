"""Write docs/calibration.md and its figures: the new models beside the old ones and real margins.

``CROSSMARGIN_DATA=... python -m tools.calibration --write`` writes them, from the root of the tree.
Without ``--write`` they are computed again and compared; a file that differs is named. It takes a
few minutes.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from tools.calibration.pages import table

from crossmargin.policies import read_policy
from crossmargin.policies.explain import differences

POLICIES = ("cme-ficc-2026-04-30", "cme-ficc-2026-11-30")
PARTS = ("strip", "margins", "stress", "hedges", "span")
"""Modules with a function `fragment(policies, data)`, in the order of the page."""
DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, PLOTS = "calibration.md", "plots"
WIDTH = 140
TEXTS = Path(__file__).parent / "texts"
"""What is to be read before the figures of a part: `NAME.md`."""


def page(data: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and text of each file, relative to the docs; the page comes last."""
    parts = [f"{(TEXTS / 'page.md').read_text('utf-8')}\n{_changes()}"]
    for name in PARTS:
        part = importlib.import_module(f"tools.calibration.{name}")
        markdown, figures = part.fragment(POLICIES, data)
        heading, _, figured = markdown.partition("\n")
        words = TEXTS / f"{name}.md"
        told = f"{words.read_text('utf-8')}\n" if words.exists() else ""
        title = heading.lstrip("# ")
        shown = "".join(f"\n![{title}]({PLOTS}/{file})\n" for file in figures)
        parts.append(f"## {title}\n\n{told}{wrapped(figured.strip())}{shown}")
        yield from ((f"{PLOTS}/{file}", text) for file, text in figures.items())
    yield PAGE, "\n".join(parts)


def _changes() -> str:
    """Return the parameters in which the policies differ."""
    before, after = (read_policy(name) for name in POLICIES)
    rows = [
        [f"`{one.name}`", one.value_a or "-", one.value_b or "-"]
        for one in differences(before, after)
        if "." in one.name
    ]
    return table(["parameter", *POLICIES], rows) + "\n"


def wrapped(markdown: str) -> str:
    """Return Markdown with its paragraphs cut into lines; tables and headings stay."""
    lines = []
    for line in markdown.splitlines():
        plain = line and not line.startswith(("|", "#"))
        indent = "  " if line.startswith("- ") else ""
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=indent) if plain else [line]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the files, or compare them; return 1 if one differs."""
    parser = argparse.ArgumentParser(prog="python -m tools.calibration", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the page and its figures")
    write = parser.parse_args().write
    folder = os.environ.get("CROSSMARGIN_DATA")
    if folder is None:
        parser.error("CROSSMARGIN_DATA must name the folder of the real figures")
    differs = False
    for name, text in page(Path(folder)):
        file = DOCS / name
        if write:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text("utf-8") != text:
            sys.stdout.write(f"docs/{name} differs; run with --write\n")
            differs = True
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
