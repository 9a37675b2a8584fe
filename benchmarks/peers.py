"""The same tails by the libraries that users would pick instead, written as users would.

All use float64 and the same book and cubes. A peer is a function of a `Problem`, of whether ES and
the tail's scenarios are wanted too, and of the number of threads.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from crossmargin.arrays import Float, Int32, Integer

BLOCK, MKL_BLOCK, TORCH_BLOCK = 256, 4096, 1024
"""Accounts a block, from a short sweep on tier L; the differences were near the noise."""
WIDE_BLOCK, WIDE_SPARSE_BLOCK, WIDE_DENSE_BLOCK = 64, 128, 512
"""The same for accounts that hold most instruments, from a short sweep on tier W."""


@dataclass(frozen=True)
class Window:
    """A tail over some scenarios of a cube: its columns, its order statistic, its ES weights."""

    start: int
    stop: int
    k: int
    weight: Float


@dataclass(frozen=True)
class Job:
    """One cube [I x S], the unions of segments to margin on it, and the tails wanted of each."""

    pnl: Float
    unions: list[list[int]]
    windows: list[Window]


@dataclass(frozen=True)
class Problem:
    """A netted book in compressed sparse rows (row = account * segments + segment) and its jobs."""

    row_ptr: Integer
    column: Int32
    quantity: Float
    segments: int
    jobs: list[Job]

    @property
    def accounts(self) -> int:
        """The number of accounts A."""
        return (len(self.row_ptr) - 1) // self.segments

    @property
    def wide(self) -> bool:
        """Whether accounts hold most instruments."""
        return 2 * len(self.column) > self.accounts * len(self.jobs[0].pnl)


@dataclass(frozen=True)
class Answer:
    """The tails of one job and window: VaR, and ES [A x U] and scenarios [A x U x k] if wanted."""

    var: Float
    es: Float
    scenario: Int32


Peer = Callable[[Problem, bool, int], list[Answer]]


def scipy_blocks(problem: Problem, full: bool, threads: int) -> list[Answer]:
    """SciPy CSR times the cube and np.partition, blocks of accounts on threads."""
    matrices = _matrices(problem)
    answers = []
    for job in problem.jobs:
        sink = _Sink.of(problem, job, full)

        def block(first: int, last: int, sink: _Sink = sink) -> None:
            parts = [matrix[first:last] @ sink.job.pnl for matrix in matrices]
            sink.partition(parts, slice(first, last))

        size = WIDE_BLOCK if problem.wide else BLOCK
        _blocks(block, (0, problem.accounts), size, threads)
        answers += sink.answers
    return answers


def numpy_dense(problem: Problem, full: bool, threads: int) -> list[Answer]:
    """NumPy dense blocks of the book times the cube (BLAS), np.partition by blocks on threads."""
    matrices = _matrices(problem)
    columns = _columns(matrices)
    size = WIDE_DENSE_BLOCK if problem.wide else TORCH_BLOCK
    answers = []
    for job in problem.jobs:
        sink = _Sink.of(problem, job, full)
        for begin in range(0, problem.accounts, size):
            end = min(begin + size, problem.accounts)
            product = [
                _dense(matrix[begin:end], held) @ job.pnl[held]
                for matrix, held in zip(matrices, columns, strict=True)
            ]
            _partition_product(sink, product, begin, threads)
        answers += sink.answers
    return answers


def mkl_sparse(problem: Problem, full: bool, threads: int) -> list[Answer]:
    """MKL's sparse product on all threads, then np.partition by blocks on all threads."""
    mkl = _mkl()
    mkl.mkl_set_num_threads(threads)
    matrices = _matrices(problem)
    answers = []
    for job in problem.jobs:
        sink = _Sink.of(problem, job, full)
        for begin in range(0, problem.accounts, MKL_BLOCK):
            end = min(begin + MKL_BLOCK, problem.accounts)
            product = [mkl.dot_product_mkl(matrix[begin:end], job.pnl) for matrix in matrices]
            _partition_product(sink, product, begin, threads)
        answers += sink.answers
    return answers


def numba_partition(problem: Problem, full: bool, threads: int) -> list[Answer]:
    """One fused numba loop over accounts, np.partition for the tail."""
    return _numba(problem, full, threads, "partition")


def numba_worst(problem: Problem, full: bool, threads: int) -> list[Answer]:
    """One fused numba loop over accounts, a running list of the k worst for the tail."""
    return _numba(problem, full, threads, "worst")


def torch_sparse(problem: Problem, full: bool, threads: int) -> list[Answer]:
    """PyTorch sparse CSR times the cube, topk."""
    torch = _torch(threads)
    matrices = _matrices(problem)

    def product(segment: int, first: int, last: int, pnl: Any) -> Any:
        m = matrices[segment][first:last]
        parts = [torch.from_numpy(a) for a in (m.indptr, m.indices, m.data)]
        return torch.sparse.mm(torch.sparse_csr_tensor(*parts, size=m.shape), pnl)

    size = WIDE_SPARSE_BLOCK if problem.wide else TORCH_BLOCK
    return _topk(torch, problem, full, size, product)


def torch_dense(problem: Problem, full: bool, threads: int) -> list[Answer]:
    """PyTorch dense blocks of the book times the cube, topk."""
    torch = _torch(threads)
    matrices = _matrices(problem)
    columns = _columns(matrices)

    def product(segment: int, first: int, last: int, pnl: Any) -> Any:
        held = columns[segment]
        dense = _dense(matrices[segment][first:last], held)
        return torch.from_numpy(dense) @ pnl[held]

    size = WIDE_DENSE_BLOCK if problem.wide else TORCH_BLOCK
    return _topk(torch, problem, full, size, product)


PEERS: dict[str, tuple[Peer, tuple[str, ...]]] = {
    "SciPy CSR + np.partition, account blocks": (scipy_blocks, ("scipy",)),
    "NumPy dense + np.partition": (numpy_dense, ("scipy",)),
    "MKL sparse + np.partition": (mkl_sparse, ("scipy", "sparse_dot_mkl")),
    "numba, fused loop + np.partition": (numba_partition, ("numba",)),
    "numba, fused loop + running worst k": (numba_worst, ("numba",)),
    "PyTorch sparse + topk": (torch_sparse, ("scipy", "torch")),
    "PyTorch dense + topk": (torch_dense, ("scipy", "torch")),
}
"""Each peer by its name, and the packages it needs."""


def missing(name: str) -> str:
    """Return the reason a peer cannot run here, or an empty text."""
    try:
        for package in PEERS[name][1]:
            _mkl() if package == "sparse_dot_mkl" else import_module(package)
    except (ImportError, OSError) as error:
        return f"not run: {type(error).__name__}: {str(error).splitlines()[0]}"
    return ""


def versions() -> str:
    """Return the versions of what the peers are made of."""
    found = []
    for name in ("numpy", "scipy", "sparse_dot_mkl", "numba", "torch"):
        try:
            found.append(f"{name} {import_module(name).__version__}")
        except (ImportError, OSError, AttributeError):
            found.append(f"{name} ({'found' if name in sys.modules else 'missing'})")
    try:
        found.append(_mkl().get_version_string().split(" for ")[0])
    except (ImportError, OSError):
        found.append("MKL missing")
    return ", ".join(found)


@cache
def _mkl() -> Any:
    """Import sparse_dot_mkl with the MKL of this environment."""
    if "MKL_RT" not in os.environ:
        for library in sorted(Path(sys.prefix, "lib").glob("libmkl_rt.so*")):
            os.environ["MKL_RT"] = str(library)
    return import_module("sparse_dot_mkl")


@cache
def _torch(threads: int) -> Any:
    """Import torch, without warnings on sparse tensors and read-only arrays; set its threads."""
    torch = import_module("torch")
    warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)
    warnings.filterwarnings("ignore", message="The given NumPy array is not", category=UserWarning)
    torch.set_num_threads(threads)
    return torch


def _matrices(problem: Problem) -> list[Any]:
    """Return one SciPy matrix [A x I] a segment."""
    sparse = import_module("scipy.sparse")
    shape = (len(problem.row_ptr) - 1, len(problem.jobs[0].pnl))
    pointer = problem.row_ptr.astype(np.int32)
    book = sparse.csr_matrix((problem.quantity, problem.column, pointer), shape=shape)
    return [book[segment :: problem.segments] for segment in range(problem.segments)]


@dataclass(frozen=True)
class _Sink:
    """The answers of one job, one for each window, filled in by blocks of accounts."""

    job: Job
    full: bool
    answers: list[Answer]

    @classmethod
    def of(cls, problem: Problem, job: Job, full: bool) -> _Sink:
        """Return empty answers."""
        shape = (problem.accounts, len(job.unions))
        answers = [
            Answer(
                np.empty(shape),
                np.empty(shape if full else 0),
                np.empty((*shape, window.k) if full else 0, np.int32),
            )
            for window in job.windows
        ]
        return cls(job, full, answers)

    def put(self, place: tuple[int, int, slice], worst: Float, index: Integer) -> None:
        """Store a block's k worst P&L and scenarios, which come in any order."""
        number, union, accounts = place
        answer, window = self.answers[number], self.job.windows[number]
        order = np.argsort(worst, axis=1, kind="stable")
        worst = np.take_along_axis(worst, order, axis=1)
        index = np.take_along_axis(index, order, axis=1)
        answer.var[accounts, union] = -worst[:, -1]
        answer.es[accounts, union] = -(worst * window.weight).sum(axis=1) / window.weight.sum()
        answer.scenario[accounts, union] = index + window.start

    def partition(self, parts: list[Float], accounts: slice) -> None:
        """Find the tails of a block of accounts with np.partition."""
        for union, members in enumerate(self.job.unions):
            total = _add(parts, members)
            for number, window in enumerate(self.job.windows):
                part, k = total[:, window.start : window.stop], window.k
                if self.full:
                    index = np.argpartition(part, k - 1, axis=1)[:, :k]
                    worst = np.take_along_axis(part, index, axis=1)
                    self.put((number, union, accounts), worst, index)
                else:
                    var = -np.partition(part, k - 1, axis=1)[:, k - 1]
                    self.answers[number].var[accounts, union] = var


def _partition_product(sink: _Sink, product: list[Float], begin: int, threads: int) -> None:
    """Find the tails of the accounts from `begin` on, from their P&L by segment, on threads."""
    end = begin + len(product[0])

    def block(first: int, last: int) -> None:
        parts = [p[first - begin : last - begin] for p in product]
        sink.partition(parts, slice(first, last))

    _blocks(block, (begin, end), min(BLOCK, -(-(end - begin) // threads)), threads)


def _columns(matrices: list[Any]) -> list[slice]:
    """Return the columns of each segment's instruments, which lie together."""
    # Those outside them are left out of dense products.
    return [slice(m.indices.min(), m.indices.max() + 1) for m in matrices]


def _dense(matrix: Any, columns: slice) -> Float:
    """Return some columns of a sparse matrix as a dense one."""
    return np.asarray(matrix.toarray()[:, columns])


def _add(parts: list[Any], members: list[int]) -> Any:
    """Add up the P&L of the segments of a union."""
    total = parts[members[0]]
    for member in members[1:]:
        total = total + parts[member]
    return total


def _blocks(
    block: Callable[[int, int], None], accounts: tuple[int, int], size: int, threads: int
) -> None:
    """Call a function on blocks of accounts [begin, end) from some threads."""
    begin, end = accounts
    edges = [*range(begin, end, size), end]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda edge: block(*edge), pairwise(edges)))


def _topk(
    torch: Any,
    problem: Problem,
    full: bool,
    size: int,
    product: Callable[[int, int, int, Any], Any],
) -> list[Answer]:
    """Multiply blocks of accounts by each cube with torch, and find the tails with topk."""
    answers = []
    edges = [*range(0, problem.accounts, size), problem.accounts]
    for job in problem.jobs:
        sink = _Sink.of(problem, job, full)
        pnl = torch.from_numpy(job.pnl)
        for first, last in pairwise(edges):
            parts = [product(g, first, last, pnl) for g in range(problem.segments)]
            for union, members in enumerate(job.unions):
                total = _add(parts, members)
                for number, window in enumerate(job.windows):
                    part = total[:, window.start : window.stop]
                    worst = torch.topk(part, window.k, dim=1, largest=False, sorted=False)
                    if full:
                        found = (worst.values.numpy(), worst.indices.numpy())
                        sink.put((number, union, slice(first, last)), *found)
                    else:
                        var = -worst.values.amax(dim=1)
                        sink.answers[number].var[first:last, union] = var.numpy()
        answers += sink.answers
    return answers


def _numba(problem: Problem, full: bool, threads: int, select: str) -> list[Answer]:
    """Run the fused loop on each job."""
    numba = import_module("numba")
    numba.set_num_threads(threads)
    answers = []
    for job in problem.jobs:
        members = np.array([g for union in job.unions for g in union])
        pointer = np.cumsum([0, *(len(union) for union in job.unions)])
        # One call for all windows, so that sums are made once; their answers share an array.
        window = np.array([(w.start, w.stop, w.k) for w in job.windows])
        weight = np.zeros((len(window), window[:, 2].max()))
        for row, w in zip(weight, job.windows, strict=True):
            row[: w.k] = w.weight
        shape = (len(window), problem.accounts, len(job.unions))
        none = (len(window), 0, 0)
        var, es = np.empty(shape), np.empty(shape if full else none)
        worst = np.empty((*(shape if full else none), weight.shape[1]), np.int32)
        _fused(select)(
            problem.row_ptr,
            problem.column,
            problem.quantity,
            problem.segments,
            job.pnl,
            pointer,
            members,
            window,
            weight,
            full,
            var,
            es,
            worst,
        )
        answers += [
            Answer(var[number], es[number], worst[number, :, :, : w.k])
            for number, w in enumerate(job.windows)
        ]
    return answers


@cache
def _finders() -> dict[str, tuple[Any, Any]]:
    """Compile two ways to find the k worst: what finds them, and what finds the k-th alone."""
    numba = import_module("numba")

    @numba.njit(error_model="numpy")
    def partition(x, k, value, index):
        limit = np.partition(x, k - 1)[k - 1]
        found = 0
        for s in range(x.size):
            if x[s] < limit:
                value[found], index[found] = x[s], s
                found += 1
        for s in range(x.size):
            if found == k:
                break
            if x[s] == limit:
                value[found], index[found] = x[s], s
                found += 1
        return limit

    @numba.njit(error_model="numpy")
    def largest(value, k):
        top = 0
        for i in range(1, k):
            if value[i] > value[top]:
                top = i
        return top

    @numba.njit(error_model="numpy")
    def worst(x, k, value, index):
        for s in range(k):
            value[s], index[s] = x[s], s
        top = largest(value, k)
        limit = value[top]
        for s in range(k, x.size):
            if x[s] < limit:
                value[top], index[top] = x[s], s
                top = largest(value, k)
                limit = value[top]
        return limit

    @numba.njit(error_model="numpy")
    def only(x, k, value, index):
        return np.partition(x, k - 1)[k - 1]

    return {"partition": (partition, only), "worst": (worst, worst)}


@cache
def _fused(select: str) -> Any:
    """Compile the fused loop with one of two ways to find the k worst."""
    numba = import_module("numba")
    tail, limit_of = _finders()[select]

    @numba.njit(parallel=True, error_model="numpy")
    def fused(
        ptr, column, quantity, segments, pnl, union, member, window, weight, full, var, es, at
    ):
        accounts, scenarios = (ptr.size - 1) // segments, pnl.shape[1]
        for block in numba.prange((accounts + 63) // 64):
            sums = np.empty((segments, scenarios))
            total = np.empty(scenarios)
            value, index = np.empty(weight.shape[1]), np.empty(weight.shape[1], np.int64)
            for account in range(block * 64, min(accounts, block * 64 + 64)):
                sums[:] = 0.0
                for g in range(segments):
                    for n in range(ptr[account * segments + g], ptr[account * segments + g + 1]):
                        q, row, out = quantity[n], pnl[column[n]], sums[g]
                        for s in range(scenarios):
                            out[s] += q * row[s]
                for u in range(union.size - 1):
                    total[:] = sums[member[union[u]]]
                    for m in range(union[u] + 1, union[u + 1]):
                        total += sums[member[m]]
                    for w in range(len(window)):
                        first, last, k = window[w]
                        part = total[first:last]
                        if not full:
                            var[w, account, u] = -limit_of(part, k, value, index)
                            continue
                        var[w, account, u] = -tail(part, k, value, index)
                        order = np.argsort(value[:k])
                        loss = 0.0
                        for i in range(k):
                            loss -= value[order[i]] * weight[w, i]
                            at[w, account, u, i] = first + index[order[i]]
                        es[w, account, u] = loss / weight[w, :k].sum()

    return fused
