"""The tables of ``docs/columns.md``, written from the schemas of inputs and results.

``python -m crossmargin.results.describe docs/columns.md`` brings the page up to date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from crossmargin.book import schemas
from crossmargin.book.schemas import LARGEST_QUANTITY
from crossmargin.results.schema import Column
from crossmargin.results.schemas import SCHEMAS
from crossmargin.results.schemas.shared import STAMPS

INPUTS = (
    schemas.POSITIONS,
    schemas.ACCOUNTS,
    schemas.FIRMS,
    schemas.SECURITIES,
    schemas.BASIS,
    schemas.SPREADS,
    schemas.SETTLEMENTS,
    schemas.FIXINGS,
    schemas.VOLUMES,
    schemas.OBSERVED_MARGINS,
    schemas.DEPOSITS,
    schemas.QUESTIONS,
)
"""The input tables that are described column by column."""
MARK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def result_table(columns: tuple[Column, ...]) -> str:
    """Return a Markdown table of a result's columns, a line for each."""
    head = "| column | type | what | null where |\n|---|---|---|---|\n"
    return head + "".join(map(_result, columns))


def input_table(columns: tuple[schemas.Column, ...]) -> str:
    """Return a Markdown table of an input's columns, a line for each."""
    head = "| column | cells | what | required |\n|---|---|---|---|\n"
    return head + "".join(map(_input, columns))


def tables() -> dict[str, str]:
    """Return every table that a page can contain, by the name in its mark."""
    return {
        **{f"input_{schema.name}": input_table(schema.columns) for schema in INPUTS},
        **{schema.name: result_table(schema.columns) for schema in SCHEMAS},
        "stamps": result_table(STAMPS),
    }


def filled(page: str) -> str:
    """Return a page with its tables written from the schemas.

    Parameters
    ----------
    page : str
        Each table stands between the lines ``<!-- generated: NAME -->`` and ``<!-- end -->``.

    Raises
    ------
    KeyError
        There is no table of this name.
    """
    known = tables()
    return MARK.sub(lambda mark: f"{mark[1]}{known[mark[2]]}{mark[3]}", page)


def _result(column: Column) -> str:
    kind = str(column.type) + (f", {column.unit}" if column.unit else "")
    meaning = column.meaning + (f" ({column.evidence})" if column.evidence else "")
    return f"| `{column.name}` | {kind} | {meaning} | {column.null} |\n"


def _input(column: schemas.Column) -> str:
    kinds = {
        "text": "text",
        "number": column.unit or "number",
        "date": "date",
        "flag": "yes/no",
        "choice": ", ".join(f"`{choice}`" for choice in column.choices),
    }
    cells = kinds[column.kind]
    if column.kind == "number" and column.high < LARGEST_QUANTITY:
        cells += f", {column.low:,.15g} to {column.high:,.15g}"
    return f"| `{column.name}` | {cells} | {column.meaning} | {_required(column)} |\n"


def _required(column: schemas.Column) -> str:
    """Return whether the column is required, and if not, the value it then has."""
    if column.required:
        return "the column" if column.may_be_blank else "yes"
    if column.default is None or column.default is False:
        return "no"
    if isinstance(column.default, str):
        return f"no: `{column.default}`"
    return f"no: {column.default:g}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(filled(path.read_text("utf-8")), "utf-8")
