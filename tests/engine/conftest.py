"""Backends, and makers of random books and cubes."""

from __future__ import annotations

import numpy as np
import pytest

from crossmargin.engine import Book, Cube


@pytest.fixture(params=["native", "numba"], scope="session")
def fast(request):
    """Return a backend that is to equal the reference, skipped by name where it is not there."""
    if request.param == "native":
        pytest.importorskip("crossmargin.engine._core", reason="the extension is not built")
    else:
        pytest.importorskip("numba", reason="numba is not installed")
    return request.param


@pytest.fixture(params=["native", "numba", "reference"], scope="session")
def backend(request):
    """Return each backend, skipped by name where it is not there."""
    if request.param == "native":
        pytest.importorskip("crossmargin.engine._core", reason="the extension is not built")
    elif request.param == "numba":
        pytest.importorskip("numba", reason="numba is not installed")
    return request.param


@pytest.fixture(scope="session")
def make_book():
    """Return a maker of random books: rows of the given lengths over `columns` instruments."""

    def make(lengths, columns, seed=0, largest=1000):
        rng = np.random.default_rng(seed)
        rows = [np.sort(rng.choice(columns, n, replace=False)) for n in lengths]
        column = np.concatenate([*rows, np.empty(0, int)]).astype(np.int32)
        quantity = rng.integers(-largest, largest, len(column), endpoint=True)
        return Book.from_arrays(np.cumsum([0, *lengths]), column, quantity, columns)

    return make


@pytest.fixture(scope="session")
def make_cube():
    """Return a maker of random heavy-tailed cubes, on the grid or off it."""

    def make(instruments, scenarios, seed=0, grid=True):
        rng = np.random.default_rng(seed)
        pnl = rng.standard_t(3, size=(instruments, scenarios)) * 100.0
        return Cube(np.rint(pnl * 2.0**20) * 2.0**-20 if grid else pnl)

    return make


@pytest.fixture(scope="session")
def assert_same_bits():
    """Return a check that two results are equal to the bit, signs of zeros included."""

    def check(a, b):
        assert a.var.tobytes() == b.var.tobytes()
        assert a.es.tobytes() == b.es.tobytes()
        for x, y in zip(a.scenario or (), b.scenario or (), strict=True):
            np.testing.assert_array_equal(x, y)

    return check
