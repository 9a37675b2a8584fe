from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from crossmargin.engine import default_threads, executor
from crossmargin.engine.executor import cgroup_quotas, run_blocks


def in_blocks(block, count, size, threads):
    """Run a block function over [0, count) in blocks of a size."""
    run_blocks(block, [*range(0, count, size), count], threads=threads, unit="accounts")


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize(("count", "size"), [(0, 4), (1, 4), (4, 4), (5, 4), (97, 1), (10, 100)])
def test_every_element_is_visited_once(threads, count, size):
    seen = []
    in_blocks(lambda first, last: seen.extend(range(first, last)), count, size, threads)
    assert sorted(seen) == list(range(count))


def test_one_thread_is_the_callers():
    names = set()
    in_blocks(lambda first, last: names.add(threading.current_thread()), 10, 1, threads=1)
    assert names == {threading.current_thread()}


def test_several_threads_work_at_once():
    # Each block waits for the other: on one thread this would break the ineligibility_reason.
    ineligibility_reason = threading.Barrier(2, timeout=10)
    in_blocks(lambda first, last: ineligibility_reason.wait(), 2, 1, threads=2)
    assert not ineligibility_reason.broken


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_first_failing_block_is_raised_and_named(threads):
    started = []

    def block(first, last):
        started.append(first)
        if first >= 30:
            time.sleep(0.02 if first == 30 else 0.0)
            raise KeyError(first)

    with pytest.raises(KeyError) as caught:
        in_blocks(block, 1000, 10, threads)
    assert caught.value.args == (30,)
    assert caught.value.__notes__ == ["in accounts 30 to 39"]
    assert len(started) <= 4 + threads


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_is_heard_between_blocks(threads):
    done = []

    def block(first, last):
        time.sleep(0.002)
        done.append(first)
        if first == 10:
            os.kill(os.getpid(), signal.SIGINT)

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_blocks(block, 5000, 1, threads)
    assert time.monotonic() - begin < 2.0
    assert len(done) < 200
    assert threading.active_count() == 1


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_call_within_a_block_stays_on_its_thread(threads):
    total, alive = [], []
    both = threading.Barrier(threads, timeout=10)

    def inner(first, last):
        alive.append(threading.active_count())
        total.append((threading.current_thread(), last - first))

    def outer(first, last):
        both.wait()
        mine = threading.current_thread()
        before = len([t for t, _ in total if t is mine])
        in_blocks(inner, 10, 3, threads=4)
        assert len([t for t, _ in total if t is mine]) == before + 4

    in_blocks(outer, 2 * threads, 1, threads)
    assert sum(size for _, size in total) == 20 * threads
    assert max(alive) == threads
    assert threading.active_count() == 1


@pytest.mark.parametrize("failing", [False, True])
def test_after_a_call_the_next_may_use_threads_again(failing):
    def block(first, last):
        if failing:
            raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError) if failing else contextlib.nullcontext():
            in_blocks(block, 4, 1, threads=2)
    ineligibility_reason = threading.Barrier(2, timeout=10)
    in_blocks(lambda first, last: ineligibility_reason.wait(), 2, 1, threads=2)
    assert not ineligibility_reason.broken


def test_default_threads_stays_within_the_affinity():
    assert 1 <= default_threads() <= (os.cpu_count() or 1)


@pytest.fixture
def many_cpus(monkeypatch):
    """Make believe that the process may use 64 CPUs."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr(executor, "cgroup_quotas", lambda: iter(()))


@pytest.mark.parametrize(
    ("value", "threads"),
    [("1", 1), ("3", 3), (" 5 ", 5), ("4,2,1", 4), ("1000", 64)],
)
def test_omp_num_threads_bounds_the_default(many_cpus, monkeypatch, value, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert default_threads() == threads


@pytest.mark.parametrize("value", ["", "0", "-2", "2.5", "all", ",4", "9" * 5000])
def test_omp_num_threads_that_is_no_number_is_ignored(many_cpus, monkeypatch, value):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert default_threads() == 64


def test_threads_given_win_over_omp_num_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    ineligibility_reason = threading.Barrier(2, timeout=10)
    in_blocks(lambda first, last: ineligibility_reason.wait(), 2, 1, threads=2)
    assert not ineligibility_reason.broken


def test_a_worker_of_joblib_uses_its_share(monkeypatch):
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = joblib.Parallel(n_jobs=2, backend="loky")(
        joblib.delayed(default_threads)() for _ in range(4)
    )
    assert found == [max(1, joblib.cpu_count() // 2)] * 4


@pytest.mark.filterwarnings("default")
def test_a_worker_of_dask_uses_one_thread(monkeypatch):
    distributed = pytest.importorskip("distributed", reason="Dask's workers are not installed")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert client.submit(default_threads).result(timeout=60) == 1


def test_no_cgroups_no_quota(tmp_path):
    assert list(cgroup_quotas(tmp_path)) == []


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_quotas_of_cgroup_v2_are_those_of_the_group_and_above(tmp_path):
    write(tmp_path / "proc/self/cgroup", "0::/a/b\n")
    write(tmp_path / "sys/fs/cgroup/cpu.max", "max 100000\n")
    write(tmp_path / "sys/fs/cgroup/a/cpu.max", "150000 100000\n")
    write(tmp_path / "sys/fs/cgroup/a/b/cpu.max", "400000 100000\n")
    assert list(cgroup_quotas(tmp_path)) == [4.0, 1.5]


def test_quotas_of_a_container_that_sees_only_its_own_mount(tmp_path):
    write(tmp_path / "proc/self/cgroup", "0::/docker/0123\n")
    write(tmp_path / "sys/fs/cgroup/cpu.max", "50000 100000\n")
    assert list(cgroup_quotas(tmp_path)) == [0.5]


def test_quotas_of_cgroup_v1(tmp_path):
    write(tmp_path / "proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/x\n1:name=systemd:/x\n")
    write(tmp_path / "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "250000\n")
    write(tmp_path / "sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert list(cgroup_quotas(tmp_path)) == [2.5]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_runs_on_threads_of_its_own():
    # Threads live for one call, so a child inherits none that could be waited for.
    program = (
        "import os, warnings\n"
        "import numpy as np\n"
        "from crossmargin.engine import Book, Cube, tails\n"
        "book = Book.from_arrays(np.arange(401), np.zeros(400, int), np.ones(400))\n"
        "cube = Cube([[-1.0, 2.0, -3.0]])\n"
        "before = tails(book, cube, level=0.5, threads=2).var.sum()\n"
        "warnings.simplefilter('ignore')\n"
        "child = os.fork()\n"
        "after = tails(book, cube, level=0.5, threads=2).var.sum()\n"
        "assert after == before\n"
        "if child == 0:\n"
        "    os._exit(0)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
