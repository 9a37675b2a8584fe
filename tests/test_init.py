from __future__ import annotations

from importlib import import_module

import pytest


@pytest.mark.parametrize("package", ["", ".engine", ".market", ".policies", ".sample"])
def test_every_name_a_package_offers_is_there(package: str) -> None:
    module = import_module(f"crossmargin{package}")
    assert sorted(set(module.__all__)) == module.__all__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
