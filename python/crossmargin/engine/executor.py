"""Run a function over blocks of a range on several threads. Only this module starts threads.

Threads live for one call, so there is no pool that a fork inherits or that must be shut down. The
caller's own thread works too; with one thread, none is started.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import ceil
from pathlib import Path

Block = Callable[[int, int], None]

SHARE = "OMP_NUM_THREADS"
"""Joblib, Dask and others set it in their workers to each worker's share of the machine."""


class _Here(threading.local):
    """State of this thread: whether it is running a block, for calls from within one."""

    in_blocks = False


_here = _Here()


def run_blocks(block: Block, bounds: Sequence[int], *, threads: int | None, unit: str) -> None:
    """Call ``block(first, last)`` for neighbouring `bounds`, on up to `threads` threads.

    Free threads take the blocks in ascending order. After the first exception or Ctrl-C no new
    block is started. Ctrl-C takes effect between blocks. A call from within a block starts no
    threads: it runs on the thread of that block.

    Parameters
    ----------
    block : callable
        Called from several threads at once, with disjoint ranges.
    bounds : sequence of int
        Where each block begins, ascending, and where the last one ends.
    threads : int, optional
        Threads to use, the caller's among them; `default_threads` if not given.
    unit : str
        What the range counts, for the note on an exception: "accounts".

    Raises
    ------
    ValueError
        `threads` is not a whole number of 1 or more.
    Exception
        What `block` raised, with a note that names the block. If several blocks raised, the first
        in the order of the range, so that it is the same for any number of threads.
    """
    workers = min(check_threads(threads), len(bounds) - 1)
    if _here.in_blocks:
        workers = 1
    blocks = pairwise(bounds)
    lock = threading.Lock()
    failures: list[tuple[int, BaseException]] = []

    def next_block() -> tuple[int, int] | None:
        with lock:
            return None if failures else next(blocks, None)

    def work() -> None:
        nested = _here.in_blocks
        try:
            _here.in_blocks = True
            while (span := next_block()) is not None:
                first, last = span
                try:
                    block(first, last)
                except BaseException as error:
                    error.add_note(f"in {unit} {first} to {last - 1}")
                    with lock:
                        # Ctrl-C takes precedence over the exceptions of other blocks.
                        failures.append((first if isinstance(error, Exception) else -1, error))
        finally:
            _here.in_blocks = nested

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(workers - 1)]
    try:
        for helper in helpers:
            helper.start()
        work()
        for helper in helpers:
            helper.join()
    except BaseException as error:
        # Ctrl-C outside a block: wait until the other threads finish theirs, then raise.
        with lock:
            failures.append((-1, error))
        for helper in helpers:
            if helper.ident is not None:
                helper.join()
    if failures:
        raise min(failures, key=lambda failure: failure[0])[1]


def default_threads() -> int:
    """Return how many threads this process may use.

    Returns
    -------
    int
        At least 1: the number of CPUs in its affinity mask, bounded by the cgroup's quota, and by
        ``OMP_NUM_THREADS`` if that is a whole number of 1 or more or a list that begins with one.

    Notes
    -----
    Worker processes of joblib and Dask get their share from ``OMP_NUM_THREADS``. Other pools of
    threads or processes set nothing; there, pass `threads` to each call.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cpus, *(ceil(quota) for quota in cgroup_quotas()), *_share()]))


def _share() -> Iterator[int]:
    """Yield the first number of ``OMP_NUM_THREADS``, where it is one."""
    try:
        threads = int(os.environ.get(SHARE, "").split(",")[0])
    except ValueError:
        return
    if threads >= 1:
        yield threads


def cgroup_quotas(root: Path = Path("/")) -> Iterator[float]:
    """Yield every CPU quota, in CPUs, set on this process's cgroup (v1 or v2) or one above it.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are found.

    Yields
    ------
    float
    """
    try:
        entries = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for entry in entries:
        _, controllers, path = entry.split(":", 2)
        if controllers == "":
            mount, read = root / "sys/fs/cgroup", _quota_v2
        elif "cpu" in controllers.split(","):
            mount, read = root / "sys/fs/cgroup/cpu", _quota_v1
        else:
            continue
        group = mount / path.lstrip("/")
        # In a container the path may be the host's; the mount itself is then the group.
        for folder in (group, *group.parents):
            quota = read(folder)
            if quota is not None:
                yield quota
            if folder == mount:
                break


def _quota_v2(folder: Path) -> float | None:
    """Return the quota in ``cpu.max``, or None if there is none."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_v1(folder: Path) -> float | None:
    """Return the quota in ``cpu.cfs_quota_us``, or None if there is none."""
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 and period > 0 else None


def check_threads(threads: int | None) -> int:
    """Return the number of threads asked for, or the default."""
    if threads is None:
        return default_threads()
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads: a whole number from 1 on is expected, got {threads!r}")
    return threads
