"""Read an input in the user's own columns or in the form of a public download."""

from __future__ import annotations

from dataclasses import replace

from crossmargin.io.column_map import ColumnMap
from crossmargin.io.layouts import from_download
from crossmargin.io.layouts.positions import is_known
from crossmargin.io.mapping import in_our_columns
from crossmargin.io.tables import Given, Source, guarded, read_table


def read_source(
    source: Source,
    *,
    name: str,
    column_map: ColumnMap | None = None,
    one_of_several: bool = False,
) -> Given:
    """Return an input from a path or table, in our columns if its own are known.

    Parameters
    ----------
    source
        As in `read_table`.
    name
        Name of the input in messages.
    column_map
        Names of our columns in it.
    one_of_several
        Whether the columns file may be about another file of positions: one in a known form that
        lacks its columns is then read without them, and a note says so.

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
        if column_map is None or given.ours:
            return from_download(given, name)
        if one_of_several and (lacks := _lacks(column_map, given, name)):
            note = f"the columns file is not about this file, which has no column {lacks}"
            return from_download(replace(given, notes=(*given.notes, note)), name)
        return from_download(in_our_columns(given, name, column_map), name)

    # A typed column may have a type that cannot be shown as text.
    return guarded(ours, f"{name} table")


def _lacks(column_map: ColumnMap, given: Given, name: str) -> str:
    """Return the columns of a columns file that a file in a known form lacks, for messages."""
    if not is_known(given.table):
        return ""
    named = {o.column: None for o in column_map.tables.get(name, {}).values() if o.column}
    return ", ".join(f"`{one}`" for one in named if one not in given.table.column_names)
