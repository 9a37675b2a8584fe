"""Read the user's files safely: regular files of limited size, and TOML of limited depth."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from crossmargin.exceptions import InputError

MAX_TOML = 1 << 20
"""Largest TOML file, bytes."""
MAX_DEPTH = 16
"""Deepest nesting of tables and lists."""
MAX_POINTS = 200
"""Most points in a line. The time to read a key grows with the square of its parts."""


def absolute(path: str | Path) -> str:
    """Return where a file lies, whatever the current directory will be; links are kept."""
    return os.path.abspath(path)


def read_file(path: Path, *, limit: int, label: str) -> bytes:
    """Return the bytes of a file.

    Parameters
    ----------
    path : Path
        The file.
    limit : int
        Most bytes. A larger file is refused before it is read.
    label : str
        Its name in messages.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        The file does not exist, cannot be opened, is not a regular file (a directory, a pipe, a
        device), is larger than `limit`, or changes while it is read.
    """
    try:
        # O_NONBLOCK: opening a pipe does not wait for a writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(handle)
            fault = _fault(status, limit)
            if fault:
                raise InputError(f"{label}: {fault}")
            with os.fdopen(handle, "rb", closefd=False) as file:
                data = file.read(status.st_size + 1)
        finally:
            os.close(handle)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{label}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{label}: cannot be opened: {error}") from error
    if len(data) != status.st_size:
        raise InputError(f"{label}: the file changed while it was read; try again")
    return data


def parse_toml(text: bytes, *, label: str) -> dict[str, Any]:
    """Return the content of a TOML text; refuse one that is nested too deep or slow to read.

    Parameters
    ----------
    text : bytes
        The file.
    label : str
        Its name in messages.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        The text is not TOML, is nested more than 16 deep, or has a line of more than 200 points.
    """
    for number, line in enumerate(text.split(b"\n"), start=1):
        if line.count(b".") > MAX_POINTS:
            raise InputError(f"{label}: line {number} has more than {MAX_POINTS} points; break it")
    try:
        data = tomllib.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{label}: not TOML: {str(error)[:200]}") from None
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH):
        inner = [entry.values() if isinstance(entry, dict) else entry for entry in level]
        level = [x for entry in inner for x in entry if isinstance(x, dict | list)]
    if level:
        raise InputError(f"{label}: tables and lists are nested more than {MAX_DEPTH} deep")
    return data


def _fault(status: os.stat_result, limit: int) -> str:
    """Return what is wrong with a file, judged before it is read; empty if nothing is."""
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file; save it as one"
    if status.st_size > limit:
        return f"{status.st_size:,} bytes, above the limit of {limit:,}"
    return ""
