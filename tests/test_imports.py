"""How the package hangs together: imports point downwards, and functions stay short."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import crossmargin

ROOT = Path(crossmargin.__file__).parent
LAYERS = (
    "version",
    "arrays",
    "conventions",
    "exact",
    "columns",
    "exceptions",
    "files",
    "market",
    "instruments",
    "engine",
    "book",
    "policies",
    "margin",
    "agreement",
    "results",
    "io",
    "calculation",
    "whatif",
    "optimise",
    "analysis",
    "cycles",
    "sample",
    "report",
    "cli",
    "__main__",
)
"""Modules and packages from the ground up: each may import those before it."""
LONGEST = 80
"""Lines of a function, its docstring aside."""
GENERATED = "_scalar"
"""Modules of this name are written by `tools/scalar.py`."""


@cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of every module by its name, a package under its own."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = [ROOT.name, *path.relative_to(ROOT).with_suffix("").parts]
        found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text())
    return found


def imported(module: str) -> set[str]:
    """Return the modules of ours that a module imports anywhere, also in functions or for types.

    `from crossmargin import columns` is an import of that module, not of the package around it.
    """
    names = set()
    for node in ast.walk(modules()[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: write imports in full"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names |= {name if name in modules() else str(node.module) for name in inside}
    return names & modules().keys()


def layer(module: str) -> str:
    return module.split(".")[1]


def graph() -> dict[str, set[str]]:
    """Return what each module imports, without the names that the package itself offers."""
    return {module: imported(module) for module in modules() if module != ROOT.name}


def functions(tree: ast.AST, name: str) -> Iterator[tuple[str, int]]:
    """Yield the name of every function, and its lines without those of the docstring."""
    for node in ast.iter_child_nodes(tree):
        own = name
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            own = f"{name}.{node.name}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            said = node.body[0] if ast.get_docstring(node) else None
            told = 0 if said is None else (said.end_lineno or 0) - said.lineno + 1
            yield own, (node.end_lineno or 0) - node.lineno + 1 - told
        yield from functions(node, own)


def test_no_circle_of_imports() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_imports_point_downwards() -> None:
    places = {name: place for place, name in enumerate(LAYERS)}
    upwards = [
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in sorted(others)
        if other == ROOT.name or places[layer(other)] > places[layer(module)]
    ]
    assert upwards == []


def test_every_part_has_a_place() -> None:
    assert {layer(module) for module in graph()} == set(LAYERS)


def test_functions_are_short() -> None:
    long = [
        name
        for module, tree in modules().items()
        if not module.endswith(f".{GENERATED}")
        for name, lines in functions(tree, module)
        if lines > LONGEST
    ]
    assert long == []
