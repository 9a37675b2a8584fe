"""A result table as data: its columns, and what each column says.

Every result table is built from its schema, so every column has a description. The schemas are in
`crossmargin.results.schemas`; `crossmargin.results.describe` writes ``docs/columns.md`` from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from crossmargin.columns import Column as Cells

SCHEMA_VERSION = "2"
"""Version of the result tables. It changes when a column changes its name or meaning."""

Evidence = Literal["confirmed", "inferred", "unconfirmed", "ours"]

TEXT, NUMBER, WHOLE, FLAG, DATE = (
    pa.string(),
    pa.float64(),
    pa.int64(),
    pa.bool_(),
    pa.date32(),
)


@dataclass(frozen=True)
class Column:
    """One column of a result table.

    Attributes
    ----------
    name, type
        Header and Arrow type.
    meaning
        What a cell says, in Markdown.
    unit
        Unit of a number; empty for a count, a share, and anything that is not a number.
    null
        When a cell is null; empty if it never is.
    evidence
        How well the rule behind the column is known, in the words of policies; empty if no single
        word fits. The parameters of a rule have their own evidence, in the policy.
    """

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    null: str = ""
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Schema:
    """One result table.

    Attributes
    ----------
    name
        Name of the table.
    columns
        Its columns, in their order.
    carries
        Whether the user's own columns follow them.
    """

    name: str
    columns: tuple[Column, ...]
    carries: bool = False

    def __getitem__(self, name: str) -> Column:
        """Return the column with a name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def arrow(self) -> pa.Schema:
        """The columns as an Arrow schema."""
        return pa.schema([(column.name, column.type) for column in self.columns])

    def table(
        self, cells: Mapping[str, Cells], carried: Mapping[str, Cells] | None = None
    ) -> pa.Table:
        """Return the table of these cells, checked against the schema.

        Parameters
        ----------
        cells : dict of str to Arrow array, [N] each
            Exactly the columns of the schema, in any order.
        carried : dict of str to Arrow array, [N] each, optional
            The user's own columns, if the table carries them; they come after ours.

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        ValueError
            A column is missing, not in the schema, of another type, or null where it never is.
        """
        names = [column.name for column in self.columns]
        if set(cells) != set(names):
            lacking, unknown = set(names) - set(cells), set(cells) - set(names)
            raise ValueError(
                f"{self.name}: lacks {', '.join(sorted(lacking)) or 'nothing'}, has "
                f"{', '.join(sorted(unknown)) or 'nothing'} beside the columns of its schema"
            )
        for column in self.columns:
            given = cells[column.name]
            if given.type != column.type:
                raise ValueError(
                    f"{self.name}.{column.name}: {column.type} expected, got {given.type}"
                )
            if given.null_count and not column.null:
                raise ValueError(
                    f"{self.name}.{column.name}: {given.null_count} nulls, none expected"
                )
        if carried and (not self.carries or set(carried) & set(names)):
            raise ValueError(f"{self.name}: does not carry {', '.join(carried)}")
        return pa.table({**{name: cells[name] for name in names}, **(carried or {})})
