"""One process at a time: a lock that dies with its holder, and names it."""

from __future__ import annotations

import contextlib
import datetime
import errno
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
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _lock(handle: int, what: str) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return _lock_bytes(handle, what)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise InputError(f"{what}: {_holder(handle)}") from None
        raise InputError(f"{what}: cannot be locked: {error}") from error


def _lock_bytes(handle: int, what: str) -> None:
    """Lock a byte far behind the content, which others must be able to read."""
    import msvcrt

    os.lseek(handle, 1 << 30, os.SEEK_SET)
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        raise InputError(f"{what}: {_holder(handle)}") from None


def _holder(handle: int) -> str:
    """Return in words who holds a lock."""
    try:
        said = json.loads(os.pread(handle, LONGEST, 0))
        who = f"process {int(said['pid'])} on {said['host']!s:.100} since {said['since']!s:.40}"
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        # Its holder has not written who it is yet.
        who = "another process"
    return f"is in use by {who}; wait until it is done"
