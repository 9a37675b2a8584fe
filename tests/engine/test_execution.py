from __future__ import annotations

import pickle
import sys
from dataclasses import FrozenInstanceError, replace

import pytest

from crossmargin.engine import Book, Cube, Execution, tails
from crossmargin.engine.backends import available


def test_it_says_nothing_unless_told():
    execution = Execution()
    assert execution == Execution(threads=None, backend="auto", progress=None)
    assert execution.kernels == {"threads": None, "backend": "auto"}
    execution.tell("netting", 0.5)


def test_progress_is_told():
    told = []
    execution = Execution(progress=lambda stage, done: told.append((stage, done)))
    execution.tell("netting", 0.0)
    execution.tell("netting", 1.0)
    assert told == [("netting", 0.0), ("netting", 1.0)]


def test_the_functions_of_the_engine_take_it():
    book, cube = Book.from_arrays([0, 1], [0], [2]), Cube([[-3.0, 1.0, -1.0, 4.0]])
    for backend in available():
        execution = Execution(threads=1, backend=backend)
        assert tails(book, cube, level=0.5, **execution.kernels).var.tolist() == [2.0]


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_are_a_whole_number(threads):
    with pytest.raises(ValueError, match=f"threads: a whole number .* got {threads!r}"):
        Execution(threads=threads)


def test_the_backend_is_one_of_them():
    with pytest.raises(ValueError, match="backend: one of auto, native, numba, reference expected"):
        Execution(backend="cuda")


def test_the_backend_can_run_here(monkeypatch):
    monkeypatch.setitem(sys.modules, "crossmargin.engine._core", None)
    with pytest.raises(ImportError, match="'native' is not available; reinstall"):
        Execution(backend="native")
    assert Execution().backend == "auto"


def test_progress_can_be_called():
    with pytest.raises(TypeError, match="progress: a function of stage and share expected, got 1"):
        Execution(progress=1)


def test_it_is_a_value():
    execution = Execution(threads=2, backend="reference")
    assert pickle.loads(pickle.dumps(execution)) == execution
    assert replace(execution, threads=3).kernels == {"threads": 3, "backend": "reference"}
    with pytest.raises(ValueError, match="threads"):
        replace(execution, threads=0)
    with pytest.raises(FrozenInstanceError):
        execution.threads = 1
