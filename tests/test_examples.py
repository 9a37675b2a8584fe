"""Every example in the docstrings and in docs/python.md does what it shows."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import crossmargin

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(crossmargin.__path__, "crossmargin.")
    if module.name.split(".")[-1] not in ("__main__", "_core", "numba_kernels")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_the_examples_of_the_docs() -> None:
    page = Path(__file__).resolve().parents[1] / "docs" / "python.md"
    done = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert done.failed == 0
