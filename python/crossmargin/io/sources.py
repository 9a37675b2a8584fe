"""Read an input in the user's own columns or in the form of a public download."""

from __future__ import annotations

from crossmargin.io.column_map import ColumnMap
from crossmargin.io.layouts import from_download
from crossmargin.io.mapping import in_our_columns
from crossmargin.io.tables import Given, Source, guarded, read_table


def read_source(source: Source, *, name: str, column_map: ColumnMap | None = None) -> Given:
    """Return an input from a path or table, in our columns if its own are known.

    Parameters
    ----------
    source
        As in `read_table`.
    name
        Name of the input in messages.
    column_map
        Names of our columns in it.

    Returns
    -------
    Given

    Raises
    ------
    InputError
        It cannot be read; the message names it and what to do.
    """
    given = read_table(source, name=name)

    def ours() -> Given:
        mapped = given if column_map is None else in_our_columns(given, name, column_map)
        return from_download(mapped, name)

    # A typed column may have a type that cannot be shown as text.
    return guarded(ours, f"{name} table")
