from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import crossmargin


@pytest.mark.parametrize("package", ["", ".engine", ".market", ".optimise", ".policies", ".sample"])
def test_every_name_a_package_offers_is_there(package: str) -> None:
    module = import_module(f"crossmargin{package}")
    assert sorted(set(module.__all__)) == module.__all__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert {*module.__all__} <= {*dir(module)}


def test_the_package_knows_its_version() -> None:
    assert crossmargin.__version__ == version("crossmargin")


def test_type_checkers_see_the_names_where_they_are_found() -> None:
    tree = ast.parse(Path(crossmargin.__file__).read_text())
    (checked,) = (
        node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    )
    homes = {
        alias.name: str(node.module).removeprefix("crossmargin.")
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert homes == crossmargin._HOMES
    assert sorted(homes) == crossmargin.__all__


def in_a_new_process(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout


def test_importing_the_package_imports_nothing_large() -> None:
    told = in_a_new_process("import sys, crossmargin; dir(crossmargin); print(*sys.modules)")
    imported = set(told.split())
    assert {name for name in imported if name.startswith("crossmargin.")} == {"crossmargin.version"}
    assert not imported & {"numpy", "pyarrow", "typer", "rich", "pandas", "importlib.metadata"}


def test_names_and_modules_are_imported_when_they_are_used() -> None:
    script = """
import crossmargin as xm
assert xm.tails is xm.engine.tails and "tails" in vars(xm)
assert xm.exceptions.InputWarning is xm.InputWarning
from crossmargin import *
assert run is xm.run
for name in ("nothing", "__main__", "_core"):
    assert not hasattr(xm, name)
"""
    assert in_a_new_process(script) == ""


def test_a_module_that_lacks_a_library_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.delitem(sys.modules, "crossmargin.report.console", raising=False)
    with pytest.raises(ModuleNotFoundError, match="rich"):
        import_module("crossmargin.report.console")
