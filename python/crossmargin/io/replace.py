"""Put files in the place of earlier ones: whole or not at all, whatever stops the process.

What is to come is written under a hidden name beside its target, and takes the target's place in
one step. For a target `out` a process uses these names, with a token of its own:

- `.out.TOKEN.lock`: locked while the process lives; made first, removed last;
- `.out.TOKEN.partial`: what is being written, and after the step what stood there before;
- `.out.TOKEN.old`: what stood there before, where the system cannot exchange two names in one step.

A process that is killed leaves some of them behind. `recover` clears them away.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import shutil
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Foreign = Callable[[Path], list[str]]
"""Names in a directory of ours that somebody else put there."""


def nothing_foreign(folder: Path) -> list[str]:
    """Say that all of a hidden name is ours: that of a single file always is."""
    return []


@contextlib.contextmanager
def replacing(target: Path, foreign: Foreign = nothing_foreign) -> Iterator[Path]:
    """Give a hidden name to write to, which takes the target's place at the end.

    Parameters
    ----------
    target
        A file, or a directory; its parent is there.
    foreign
        What is not ours of the directory that is replaced: it is moved to the new one.

    Yields
    ------
    Path
        Where to make a file or a directory. If the block raises, it is removed.
    """
    lock, handle = _claim(target)
    fresh = lock.with_suffix(".partial")
    try:
        yield fresh
        if target.exists():
            shutil.copymode(target, fresh)
        with _signals_held():
            _put(fresh, target)
            flush(target.parent)
    finally:
        with contextlib.suppress(OSError):
            _clear(fresh, target, foreign)
            lock.unlink()
        os.close(handle)


def rehearse(target: Path) -> None:
    """Make and remove what `replacing` makes beside a target; OSError where that cannot be done."""
    lock, handle = _claim(target)
    fresh = lock.with_suffix(".partial")
    try:
        fresh.mkdir()
    finally:
        _clear(fresh, target, nothing_foreign)
        lock.unlink()
        os.close(handle)


def recover(target: Path, foreign: Foreign = nothing_foreign) -> None:
    """Clear away what processes that were killed have left beside a target.

    Where one was killed between the steps of an exchange, what stood there before is put back.
    What belongs to a process that lives, or was not made here, is left alone.
    """
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.lock")
    try:
        names = sorted(filter(pattern.fullmatch, os.listdir(target.parent)))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        lock = target.with_name(name)
        old, partial = lock.with_suffix(".old"), lock.with_suffix(".partial")
        # What cannot be cleared away now stands in nobody's way.
        with contextlib.suppress(OSError), _lock_of_the_dead(lock):
            if old.exists() and partial.exists():
                old.rename(target)
            _clear(old, target, foreign)
            _clear(partial, target, foreign)
            lock.unlink()


def flush(path: Path) -> None:
    """Wait until a file, or a directory's list of names, is on the disk."""
    if path.is_dir():
        # Some systems open no directories, and some file systems flush none.
        with contextlib.suppress(OSError):
            _flush(path)
    else:
        _flush(path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _claim(target: Path) -> tuple[Path, int]:
    """Make and lock a lock file; return it with its handle."""
    while True:
        lock = target.with_name(f".{target.name}.{secrets.token_hex(4)}.lock")
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        # Where nothing can be locked, nothing is taken for a dead process's.
        with contextlib.suppress(OSError, ModuleNotFoundError):
            _flock(handle)
        if lock.exists():
            return lock, handle
        os.close(handle)  # taken for a dead process's before it was locked


@contextlib.contextmanager
def _lock_of_the_dead(lock: Path) -> Iterator[None]:
    """Hold the lock of a process that is gone; OSError if it lives, or if this is no lock."""
    handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size:
            raise OSError(errno.EINVAL, "no lock of ours")
        _flock(handle, wait=False)
        yield
    finally:
        os.close(handle)


def _flock(handle: int, *, wait: bool = True) -> None:
    import fcntl  # not on Windows

    fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back the signals that end the process, so that several steps are done or none."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears signals
        return
    came: list[int] = []
    with contextlib.ExitStack() as restored:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # None: a handler that is not Python's, which could not be put back.
            if number is not None and signal.getsignal(number) is not None:
                before = signal.signal(number, lambda number, _: came.append(number))
                restored.callback(signal.signal, number, before)
        yield
    for number in came:
        signal.raise_signal(number)


def _put(fresh: Path, target: Path) -> None:
    """Give a file or directory the target's name; what has it now gets the other's."""
    try:
        # A file takes a file's place, a directory that of nothing or of an empty one.
        os.replace(fresh, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if not _exchange(fresh, target):
            old = fresh.with_suffix(".old")
            target.rename(old)
            try:
                fresh.rename(target)
            except BaseException:
                old.rename(target)
                raise
            old.rename(fresh)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system or the file system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one), os.fsencode(other)
    exchange, here = 2, -100  # RENAME_EXCHANGE, as Darwin's RENAME_SWAP; AT_FDCWD
    try:
        if sys.platform == "darwin":
            failed = library.renamex_np(*paths, exchange)
        else:
            failed = library.renameat2(here, paths[0], here, paths[1], exchange)
    except AttributeError:
        return False
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _clear(hidden: Path, target: Path, foreign: Foreign) -> None:
    """Remove a file or directory of ours; what is not ours in it goes to the target."""
    if not os.path.lexists(hidden):
        return
    if not hidden.is_dir():
        hidden.unlink()
        return
    for name in foreign(hidden):
        if os.path.lexists(target / name):
            raise FileExistsError(errno.EEXIST, "stays where it is", str(hidden / name))
        (hidden / name).rename(target / name)
    shutil.rmtree(hidden)
