"""Read an input in the user's own columns or in the form of a public download."""

from __future__ import annotations

from dataclasses import replace

from crossmargin.io.column_map import ColumnMap
from crossmargin.io.layouts import from_download
from crossmargin.io.layouts.positions import is_known
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
        if column_map is None:
            return from_download(given, name)
        if name == "positions" and (own := _constants(column_map, given, name)):
            # One of several files: the columns file is about another one.
            return from_download(in_our_columns(given, name, own), name)
        return from_download(in_our_columns(given, name, column_map), name)

    # A typed column may have a type that cannot be shown as text.
    return guarded(ours, f"{name} table")


def _constants(column_map: ColumnMap, given: Given, name: str) -> ColumnMap | None:
    """Return a columns file's constants alone, for a known report that has none of its columns.

    Parameters
    ----------
    column_map : ColumnMap
    given : Given
        Positions as read.
    name : str
        Name of the input.

    Returns
    -------
    ColumnMap, optional
        None if the columns file is about this file.
    """
    origins = column_map.tables.get(name, {})
    named = {o.column for o in origins.values() if o.column}
    if not named or named & set(given.table.column_names) or not is_known(given.table):
        return None
    constants = {ours: origin for ours, origin in origins.items() if not origin.column}
    return replace(column_map, tables={**column_map.tables, name: constants})
