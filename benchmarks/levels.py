"""The instruction sets that ours is measured at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module

from crossmargin.engine import info

VARIABLE = "XM_SIMD"
COMMON, WIDER = "avx2", "avx512"


@cache
def measured() -> tuple[str, ...]:
    """Return AVX2 and AVX-512 where both can run, and else the one that calls use.

    If `XM_SIMD` is set, that is the only one.
    """
    here = info()
    both = (COMMON, WIDER)
    if os.environ.get(VARIABLE) or here.backend != "native":
        return (here.instruction_set,)
    supported = import_module("crossmargin.engine._core").levels()
    return both if set(both) <= set(supported) else (here.instruction_set,)


@contextmanager
def using(level: str) -> Iterator[None]:
    """Let calls of the native engine use an instruction set."""
    before = os.environ.get(VARIABLE)
    if info().backend == "native":
        os.environ[VARIABLE] = level
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        if before is not None:
            os.environ[VARIABLE] = before
