"""Read an input in the user's own columns or in the form of a public download."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

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
        lacks its columns is then read without them, and in one that has a column itself no constant
        takes its place. Notes say so.

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
        about, note = column_map, ""
        if one_of_several and is_known(given.table):
            about, note = _about(column_map, given.table, name)
        noted = replace(given, notes=(*given.notes, note)) if note else given
        return from_download(in_our_columns(noted, name, about), name)

    # A typed column may have a type that cannot be shown as text.
    return guarded(ours, f"{name} table")


def _about(column_map: ColumnMap, table: pa.Table, name: str) -> tuple[ColumnMap, str]:
    """Return what of a columns file is about one of several files in a known form, and a note."""
    origins, there = column_map.tables.get(name, {}), set(table.column_names)
    needed = [column for o in origins.values() for column in (o.column, o.sign) if column]
    if lacks := _quoted([column for column in needed if column not in there]):
        note = f"the columns file is not about this file, which has no column {lacks}"
        return replace(column_map, tables={**column_map.tables, name: {}}), note
    own = [ours for ours, o in origins.items() if not o.column and ours in there]
    note = f"the file's own column {_quoted(own)} is read; the columns file states it for others"
    left = {ours: origin for ours, origin in origins.items() if ours not in own}
    return replace(column_map, tables={**column_map.tables, name: left}), note if own else ""


def _quoted(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names))
