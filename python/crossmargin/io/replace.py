"""Replace files whole or not at all, whatever stops the process.

The new file or directory is written under a hidden name beside its target and takes the target's
place in one step. For a target `out` a process uses these names, with its own token:

- `.out.TOKEN.lock`: locked while the process lives; made first, removed last;
- `.out.TOKEN.partial`: the new content while it is written; after the step, the earlier content;
- `.out.TOKEN.old`: the earlier content, if the system cannot exchange two names in one step.

A killed process leaves some of them behind. `recover` removes them.
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
"""A function that lists the names in a directory that we did not write."""


def nothing_foreign(folder: Path) -> list[str]:
    """Return no foreign names: a single file holds none."""
    return []


@contextlib.contextmanager
def replacing(target: Path, foreign: Foreign = nothing_foreign) -> Iterator[Path]:
    """Yield a hidden path to write to; at the end it takes the target's place.

    Parameters
    ----------
    target
        A file or a directory; its parent exists.
    foreign
        Lists what we did not write in the replaced directory; it is moved to the new one.

    Yields
    ------
    Path
        Where to make the file or directory. If the block raises, it is removed.
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
    """Make and remove what `replacing` makes beside a target; OSError if that is impossible."""
    lock, handle = _claim(target)
    fresh = lock.with_suffix(".partial")
    try:
        fresh.mkdir()
    finally:
        _clear(fresh, target, nothing_foreign)
        lock.unlink()
        os.close(handle)


def recover(target: Path, foreign: Foreign = nothing_foreign) -> None:
    """Remove what killed processes left beside a target.

    If a process was killed between the steps of an exchange, the earlier content is restored.
    Files of a live process, and files that were not made here, are left alone.
    """
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.lock")
    try:
        names = sorted(filter(pattern.fullmatch, os.listdir(target.parent)))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        lock = target.with_name(name)
        old, partial = lock.with_suffix(".old"), lock.with_suffix(".partial")
        # Leftovers that cannot be removed now do no harm.
        with contextlib.suppress(OSError), _lock_of_the_dead(lock):
            if old.exists() and partial.exists():
                old.rename(target)
            _clear(old, target, foreign)
            _clear(partial, target, foreign)
            lock.unlink()


def flush(path: Path) -> None:
    """Wait until a file, or the list of names in a directory, is on disk."""
    if path.is_dir():
        # Some systems cannot open directories, and some file systems cannot flush them.
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
    """Make and lock a lock file; return its path and handle."""
    while True:
        lock = target.with_name(f".{target.name}.{secrets.token_hex(4)}.lock")
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        # If nothing can be locked, no file is assumed to belong to a dead process.
        with contextlib.suppress(OSError, ModuleNotFoundError):
            _flock(handle)
        if lock.exists():
            return lock, handle
        os.close(handle)  # another process removed it before it was locked


@contextlib.contextmanager
def _lock_of_the_dead(lock: Path) -> Iterator[None]:
    """Hold the lock of a dead process; OSError if it lives, or if this is not a lock of ours."""
    handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size:
            raise OSError(errno.EINVAL, "not a lock of ours")
        _flock(handle, wait=False)
        yield
    finally:
        os.close(handle)


def _flock(handle: int, *, wait: bool = True) -> None:
    import fcntl  # missing on Windows

    fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Delay the signals that end the process, so that all steps of a block are done or none."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    came: list[int] = []
    with contextlib.ExitStack() as restored:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # None: a handler set outside Python, which could not be restored.
            if number is not None and signal.getsignal(number) is not None:
                before = signal.signal(number, lambda number, _: came.append(number))
                restored.callback(signal.signal, number, before)
        yield
    for number in came:
        signal.raise_signal(number)


def _put(fresh: Path, target: Path) -> None:
    """Give a file or directory the target's name, and the target the other's name."""
    try:
        # A file can replace a file; a directory can replace nothing or an empty directory.
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
    """Exchange two names in one step; False if the system or the file system cannot."""
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
    """Remove a file or directory of ours; move what we did not write in it to the target."""
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
