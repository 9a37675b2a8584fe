from __future__ import annotations

from importlib import import_module
from importlib.metadata import version

import pytest

import crossmargin


@pytest.mark.parametrize("package", ["", ".engine", ".market", ".optimise", ".policies", ".sample"])
def test_every_name_a_package_offers_is_there(package: str) -> None:
    module = import_module(f"crossmargin{package}")
    assert sorted(set(module.__all__)) == module.__all__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_the_package_knows_its_version() -> None:
    assert crossmargin.__version__ == version("crossmargin")
