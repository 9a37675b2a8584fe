"""The tables of ``docs/columns.md``, written from the schemas of the results.

``python -m crossmargin.results.describe docs/columns.md`` brings the page up to date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from crossmargin.results.schema import SCHEMAS, STAMPS, Column

TABLES = {schema.name: schema.columns for schema in SCHEMAS} | {"stamps": STAMPS}
"""What a page can have described, by the name in its mark."""
MARK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = "| column | type | what | null where |\n|---|---|---|---|\n"


def described(columns: tuple[Column, ...]) -> str:
    """Return columns as a table in Markdown, a line for each."""
    return HEAD + "".join(map(_line, columns))


def filled(page: str) -> str:
    """Return a page with its tables as the schemas have them.

    Parameters
    ----------
    page : str
        Each table stands between the lines ``<!-- generated: NAME -->`` and ``<!-- end -->``.

    Raises
    ------
    KeyError
        There is no table of this name.
    """
    return MARK.sub(lambda mark: f"{mark[1]}{described(TABLES[mark[2]])}{mark[3]}", page)


def _line(column: Column) -> str:
    kind = str(column.type) + (f", {column.unit}" if column.unit else "")
    meaning = column.meaning + (f" ({column.evidence})" if column.evidence else "")
    return f"| `{column.name}` | {kind} | {meaning} | {column.null} |\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(filled(path.read_text("utf-8")), "utf-8")
