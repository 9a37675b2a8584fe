"""What people see is an end of the package: nothing below imports it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import crossmargin

PACKAGE = Path(crossmargin.__file__).parent
ENDS = ("report", "cli")
BELOW = sorted(
    path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in ENDS
)


@pytest.mark.parametrize("path", BELOW, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_below_imports_an_end(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [f"{node.module}.{alias.name}" for alias in node.names]
            if isinstance(node, ast.ImportFrom) and node.module
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert not [name for name in imported if name.split(".")[1:2] in ([end] for end in ENDS)]
