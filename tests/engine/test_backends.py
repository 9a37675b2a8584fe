"""Choosing a backend, and working where the extension or numba is missing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from crossmargin.engine import (
    Book,
    Cube,
    Measure,
    faults,
    info,
    revalue,
    segment_tails,
    tails,
    taylor,
)
from crossmargin.engine.backends import available, resolve

EXTENSION = "crossmargin.engine._core"
BOOK = Book.from_arrays([0, 2, 3], [0, 1, 1], [2, -1, 5])
CUBE = Cube([[-4.0, 1.0, 2.5, 0.0], [3.0, -7.0, 0.5, 1.0]])


def hide(monkeypatch, *modules):
    """Make importing these modules fail."""
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)


def test_every_backend_is_there():
    # Building the package makes the extension.
    assert [name for name in available() if name != "numba"] == ["native", "reference"]
    assert info().backend == "native"
    assert info().instruction_set in ("baseline", "avx2", "avx512", "neon")
    assert info("reference").instruction_set == "numpy"
    assert info().threads >= 1
    assert info().emulated_only == ("neon",)


def test_numba_is_there_once_it_is_installed():
    pytest.importorskip("numba")
    assert available() == ("native", "numba", "reference")
    assert info("numba").instruction_set == "jit"


def test_without_the_extension_numba_runs(monkeypatch):
    pytest.importorskip("numba")
    expected = tails(BOOK, CUBE, level=0.6)
    hide(monkeypatch, EXTENSION)
    assert info().backend == "numba"
    assert tails(BOOK, CUBE, level=0.6).var.tobytes() == expected.var.tobytes()
    with pytest.raises(ImportError, match="'native' is not available; reinstall"):
        tails(BOOK, CUBE, backend="native")


def test_without_numba_native_runs(monkeypatch):
    hide(monkeypatch, "numba", "crossmargin.engine.numba_kernels")
    assert available() == ("native", "reference")
    with pytest.raises(ImportError, match=r"'numba' is not available.*crossmargin\[numba\]"):
        tails(BOOK, CUBE, backend="numba")


def test_with_neither_the_reference_does_everything(monkeypatch):
    shock = [[0.01, 0.5]]
    expected = tails(BOOK, CUBE, level=0.6), taylor([0, 1], [1], [3.0], shock)
    hide(monkeypatch, EXTENSION, "numba", "crossmargin.engine.numba_kernels")
    assert info().backend == "reference"
    assert tails(BOOK, CUBE, level=0.6).es.tobytes() == expected[0].es.tobytes()
    assert taylor([0, 1], [1], [3.0], shock).tobytes() == expected[1].tobytes()


def test_an_unknown_backend_is_an_error():
    for call in (
        lambda: resolve("cuda"),
        lambda: info("Native"),
        lambda: tails(BOOK, CUBE, backend=""),
        lambda: segment_tails(BOOK, [Measure(CUBE)], segments=1, unions=[[0]], backend="cuda"),
        lambda: taylor([0], [], [], [[0.0]], backend="cuda"),
    ):
        with pytest.raises(ValueError, match="backend: one of auto, native, numba, reference"):
            call()


@pytest.mark.parametrize("backend", ["auto", "native", "reference"])
def test_numba_is_imported_only_when_used(backend):
    program = (
        "import sys\n"
        "from crossmargin.engine import Book, Cube, tails\n"
        "tails(Book.from_arrays([0, 1], [0], [1]), Cube([[1.0, 2.0]]), level=0.5, "
        f"backend={backend!r})\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_extension_never_converts_silently():
    core = pytest.importorskip(EXTENSION)
    one = np.zeros((1, 1))
    polynomials = {
        "ptr": np.array([0, 1]),
        "feature": np.array([0], np.int32),
        "coefficient": np.array([2.0]),
    }
    arguments = {
        "level": "baseline",
        "first": 0,
        "last": 1,
        "polynomials": tuple(polynomials.values()),
        "shock": np.array([[0.5]]),
        "pnl": one,
    }
    assert core.taylor(**arguments) == (0, 0, 0, 0)
    assert one.tolist() == [[1.0]]
    wrong = {
        "ptr": np.array([0, 1], np.int32),
        "feature": np.array([0], np.int64),
        "coefficient": np.array([2.0], np.float32),
    }
    for name, value in wrong.items():
        changed = tuple({**polynomials, name: value}.values())
        with pytest.raises(TypeError, match="incompatible function arguments"):
            core.taylor(**{**arguments, "polynomials": changed})
    for name, value in {"shock": [[0.5]], "pnl": np.zeros((2, 2), order="F")}.items():
        with pytest.raises(TypeError, match="incompatible function arguments"):
            core.taylor(**{**arguments, name: value})
    outside = {
        "first": -1,
        "last": 2,
        "pnl": np.zeros((2, 1)),
        "shock": np.array([0.5]),
    }
    for name, value in outside.items():
        with pytest.raises(ValueError, match=r"range|pnl|dimensions"):
            core.taylor(**{**arguments, name: value})
    frozen = np.zeros((1, 1))
    frozen.setflags(write=False)
    with pytest.raises(ValueError, match="not writeable"):
        core.taylor(**{**arguments, "pnl": frozen})


def test_faults_have_the_numbers_of_the_extension():
    core = pytest.importorskip(EXTENSION)
    for name in ("NONE", "SUM_NOT_FINITE", "EXPONENT_RANGE", "PNL_RANGE", "AMOUNT_RANGE"):
        assert getattr(faults, name) == getattr(core, name)


def test_denormals_survive_the_import():
    # A library built with -ffast-math would have set the whole process to flush them to zero.
    assert np.finfo(float).smallest_subnormal * 1.0 != 0.0


def test_revalue_accepts_any_object_with_the_arrays(backend):
    class Holder:
        exponent_ptr, exponent_factor, exponent_weight = [0, 1], [0], [1.0]
        line_ptr, term_exponent, term_amount, line_offset = [0, 1], [0], [1.0], [0.0]
        instrument_ptr, scale = [0, 1], [1.0]
        linear_ptr, linear_factor, linear_loading = [0, 0], [], []

    assert revalue(Holder(), [[0.0]], backend=backend).tolist() == [[0.0]]
