"""Opening the user's files: regular ones, of a limited size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from crossmargin.book.exceptions import InputError


def read_file(path: Path, *, limit: int, label: str) -> bytes:
    """Return the bytes of a file.

    Parameters
    ----------
    path : Path
        The file.
    limit : int
        A larger one is refused before it is read.
    label : str
        What messages call it.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        If it does not exist, cannot be opened, is no regular file (a directory, a pipe, a device),
        is larger than `limit` or changes while it is read.
    """
    try:
        # Opened like this, a pipe does not wait for somebody to write to it.
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
        raise InputError(f"{label}: changes while it is read; try again")
    return data


def _fault(status: os.stat_result, limit: int) -> str:
    """Return what is wrong with a file before it is read, if anything."""
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file; save it as one"
    if status.st_size > limit:
        return f"{status.st_size:,} bytes, above the limit of {limit:,}"
    return ""
