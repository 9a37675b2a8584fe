"""An input as its users have it: a table of ours, or a public download in its own form."""

from __future__ import annotations

from crossmargin.io.layouts import from_download
from crossmargin.io.tables import Given, Source, read_table


def read_source(source: Source, *, name: str) -> Given:
    """Read an input from a path or table, in our columns where its own are known.

    Parameters
    ----------
    source
        As in `read_table`.
    name
        What the input is called in messages.

    Returns
    -------
    Given

    Raises
    ------
    InputError
        If it cannot be read; the message names it and what to do.
    """
    return from_download(read_table(source, name=name), name)
