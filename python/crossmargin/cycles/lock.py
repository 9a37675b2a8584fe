"""One process at a time: a lock that dies with its holder, and names it."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from crossmargin.exceptions import InputError

LONGEST = 4096
"""Most bytes read of a lock: its holder's description has some hundred."""


@contextlib.contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold a lock for as long as the block runs, or the process lives.

    Parameters
    ----------
    path : Path
        The lock's file. It stays afterwards, empty: if it were removed, two processes could each
        hold a lock of this name.
    what : str
        What is locked, for the message.

    Raises
    ------
    InputError
        Another process holds it; the message has its number, its machine and since when. Or the
        file cannot be made.
    """
    handle = claim(path, what)
    try:
        yield
    finally:
        release(handle)


def claim(path: Path, what: str) -> int:
    """Return the handle of a lock, to be released; see `held`."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        raise InputError(f"{what}: cannot be locked: {error}") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise InputError(f"{what}: cannot be locked: {path} is no regular file; remove it")
        _lock(handle, what)
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        # On a full disk the lock holds too; it does not say by whom.
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(holder).encode(), 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


def release(handle: int) -> None:
    """Let others hold a lock."""
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
    os.close(handle)


def _lock(handle: int, what: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise InputError(f"{what}: {_holder(handle)}") from None
        raise InputError(f"{what}: cannot be locked: {error}") from error


def _holder(handle: int) -> str:
    """Return in words who holds a lock."""
    try:
        said = json.loads(os.pread(handle, LONGEST, 0))
        who = f"process {int(said['pid'])} on {said['host']!s:.100} since {said['since']!s:.40}"
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        # Its holder has not written who it is yet.
        who = "another process"
    return f"is in use by {who}; wait until it is done"
