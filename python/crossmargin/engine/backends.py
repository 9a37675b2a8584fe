"""Choose the implementation of the kernels: native (C++), numba, or the NumPy reference."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from crossmargin.engine.executor import default_threads

EMULATED_ONLY = ("neon",)
"""Instruction sets tested under emulation only, not yet on a real CPU."""
_MODULES = {
    "native": "crossmargin.engine.native",
    "numba": "crossmargin.engine.numba_kernels",
    "reference": "crossmargin.engine.reference",
}
_EXTENSION = "crossmargin.engine._core"
BACKENDS = tuple(_MODULES)
"""All backends, in the order in which "auto" prefers them."""


@dataclass(frozen=True)
class Info:
    """The backend that would run, and the alternatives.

    Attributes
    ----------
    backend : str
        "native", "numba" or "reference".
    instruction_set : str
        The level the kernels were built for; "jit" for numba, "numpy" for the reference.
    available : tuple of str
        The backends that can run here.
    threads : int
        The default number of threads.
    emulated_only : tuple of str
        Instruction sets that were never tested on real hardware.
    """

    backend: str
    instruction_set: str
    available: tuple[str, ...]
    threads: int
    emulated_only: tuple[str, ...] = EMULATED_ONLY


def info(backend: str = "auto") -> Info:
    """Return which backend a call with this argument would use.

    Parameters
    ----------
    backend : {"auto", "native", "numba", "reference"}
        As in every call of the engine.

    Returns
    -------
    Info

    Raises
    ------
    ValueError
        There is no such backend.
    ImportError
        The backend is not installed.
    """
    name = resolve(backend)
    if name == "native":
        level = str(kernels(name).level())
    else:
        level = {"numba": "jit", "reference": "numpy"}[name]
    return Info(name, level, available(), default_threads())


def available() -> tuple[str, ...]:
    """Return the backends that can run here, best first.

    Returns
    -------
    tuple of str
    """
    return tuple(name for name in BACKENDS if _is_there(name))


def resolve(backend: str) -> str:
    """Return the name of the backend that "auto" or a name stands for.

    Parameters
    ----------
    backend : {"auto", "native", "numba", "reference"}
        The argument of the caller.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        There is no such backend.
    ImportError
        The backend is not installed.
    """
    if backend == "auto":
        # Stops at the first one: looking for numba takes longer than a small call.
        return next(name for name in BACKENDS if _is_there(name))
    if backend not in BACKENDS:
        raise ValueError(f"backend: one of auto, {', '.join(BACKENDS)} expected, got {backend!r}")
    if not _is_there(backend):
        hint = {
            "native": "reinstall the package with a C++20 compiler",
            "numba": 'install it with pip install "crossmargin[numba]"',
        }[backend]
        raise ImportError(f"backend: {backend!r} is not available; {hint}")
    return backend


def kernels(backend: str) -> Any:
    """Return the module that holds the kernels of a backend, imported on first use.

    Parameters
    ----------
    backend : {"auto", "native", "numba", "reference"}
        The argument of the caller.

    Returns
    -------
    module
        It has `segment_tails`, `revalue`, `taylor`, `spread_credits`, `net_pairs` and `box_tails`
        with the signatures of `reference`.

    Raises
    ------
    ValueError
        There is no such backend.
    ImportError
        The backend is not installed.
    """
    return import_module(_MODULES[resolve(backend)])


def _is_there(backend: str) -> bool:
    """Tell whether a backend can be imported, without importing numba."""
    if backend == "native":
        try:
            import_module(_EXTENSION)
        except ImportError:
            return False
        return True
    return backend == "reference" or find_spec("numba") is not None
