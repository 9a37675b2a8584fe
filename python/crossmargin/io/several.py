"""Join the tables of an input that is given in several files, each under its own name."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.exceptions import FileRows, InputError
from crossmargin.io import limits
from crossmargin.io.parse import ROW, Parsed, describe_input
from crossmargin.io.tables import Given, Source, Stamp


def file_names(name: str, sources: Sequence[Source]) -> list[str]:
    """Return what exceptions call each source of an input.

    It does not depend on where the files lie, so that the same files in another directory give the
    same results.

    Parameters
    ----------
    name : str
        Name of the input.
    sources : sequence of path or table

    Returns
    -------
    list of str
        The input's name with that of the file, or for a table its number; each once.
    """
    called = [_called(source) or str(number) for number, source in enumerate(sources, start=1)]
    count = Counter(called)
    return [
        f"{name} {word}" if count[word] == 1 else f"{name} {word} ({number})"
        for number, word in enumerate(called, start=1)
    ]


def _called(source: Source) -> str:
    """Return the name of the file of a source; empty if it is a table."""
    path = source.path if isinstance(source, Given) else source
    return Path(path).name if isinstance(path, str | Path) and str(path) else ""


def refuse_two_times(
    given: Sequence[Given], parsed: Sequence[Parsed], names: Sequence[str]
) -> None:
    """Refuse reports of positions that hold the same at two times, which would count twice.

    Parameters
    ----------
    given, parsed, names
        As for `joined`, of positions.

    Raises
    ------
    InputError
        Two reports state other dates, cycles or runs, and have an account with a kind of position
        in common.
    """
    earlier: list[tuple[str, Stamp, pa.Array]] = []
    for one, own, name in zip(given, parsed, names, strict=True):
        if one.stamp is None:
            continue
        held = columns.plain(own.table["account"]), columns.plain(own.table["kind"])
        keys = pc.unique(columns.one_array(pc.binary_join_element_wise(*held, "\0")).drop_null())
        for other, stamp, there in earlier:
            if stamp.contradicts(one.stamp) and pc.any(pc.is_in(keys, value_set=there)).as_py():
                raise InputError(
                    f"{name} is of {one.stamp} and {other} of {stamp}, with accounts in common: "
                    "each report holds all positions of its time, so they would count twice; keep "
                    "one"
                )
        earlier.append((name, one.stamp, keys))


def joint(given: Sequence[Given]) -> Given:
    """Return an input that describes several tables, independent of their order."""
    if len(given) == 1:
        return given[0]
    hashes = "\n".join(sorted(one.hash for one in given))
    notes = tuple(dict.fromkeys(note for one in given for note in one.notes))
    return Given(given[0].table, hashlib.sha256(hashes.encode()).hexdigest(), notes)


def joined(
    given: Sequence[Given], parsed: Sequence[Parsed], names: Sequence[str], name: str
) -> tuple[pa.Table, tuple[FileRows, ...], dict[str, Any]]:
    """Return the rows of several files as those of one, numbered through them all.

    Parameters
    ----------
    given : sequence of Given
    parsed : sequence of Parsed
        Each file's own rows.
    names : sequence of str
        What exceptions call the files.
    name : str
        Name of the input.

    Returns
    -------
    table : pyarrow.Table
    files : tuple of FileRows
    described : dict
        For the manifest: as `describe_input`, and of each file its name, path, hash and rows.

    Raises
    ------
    InputError
        Together they have more rows than one input may have.
    """
    rows = [len(one.table) for one in given]
    widest = max(one.table.num_columns for one in parsed)
    limits.check_shape(sum(rows), widest, name)
    before = [sum(rows[:number]) for number in range(len(rows))]
    tables = [
        one.table.set_column(
            one.table.column_names.index(ROW),
            ROW,
            columns.column(columns.integers(one.table[ROW]) + first),
        )
        for one, first in zip(parsed, before, strict=True)
    ]
    cells = {
        column: _one_after_the_other([table[column] for table in tables])
        for column in tables[0].column_names
    }
    files = tuple(FileRows(name, *file) for file in zip(names, before, strict=True))
    whole = Parsed(
        pa.table(cells),
        tuple(dict.fromkeys(extra for one in parsed for extra in one.extra_columns)),
        tuple(dict.fromkeys(text for one in parsed for text in one.warnings)),
        sum(one.rows_read for one in parsed),
        tuple(dict.fromkeys(note for one in parsed for note in one.notes)),
    )
    described = {
        **describe_input(joint(given), whole),
        "names": list(names),
        "paths": [one.path or None for one in given],
        "files": [one.hash for one in given],
        "rows": [one.rows_read for one in parsed],
        "reports": [None if one.stamp is None else asdict(one.stamp) for one in given],
    }
    return whole.table, files, described


def _one_after_the_other(parts: Sequence[columns.Column]) -> pa.Array:
    """Return columns of one kind as one array; texts with one list of distinct texts."""
    whole = pa.concat_arrays([columns.one_array(columns.plain(part)) for part in parts])
    return whole.dictionary_encode() if pa.types.is_string(whole.type) else whole
