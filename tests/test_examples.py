"""Every example in docstrings and in pages of Markdown does what it shows."""

from __future__ import annotations

import doctest
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

import crossmargin
from crossmargin.sample import write_sample

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(crossmargin.__path__, "crossmargin.")
    if module.name.split(".")[-1] not in ("__main__", "_core", "numba_kernels")
)
FOLDERS = (".", "docs", "docs/policies", "cpp", "benchmarks", "fuzz", "findings")
BLOCK = re.compile(
    r"^ *(?:```|~~~) *(?:python|py|pycon)\b[^\n]*\n(.*?)^ *(?:```|~~~)", re.I | re.S | re.M
)
BLOCKS = {
    str(page.relative_to(ROOT)): BLOCK.findall(page.read_text("utf-8"))
    for folder in FOLDERS
    for page in sorted((ROOT / folder).glob("*.md"))
}
"""The blocks of Python of each page."""
EXTRAS = {"docs/python.md": "duckdb"}
"""What the examples of a page need beyond the package."""


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks])
def test_the_examples_of_a_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page in EXTRAS:
        pytest.importorskip(EXTRAS[page])
    write_sample(tmp_path, accounts=20)
    monkeypatch.chdir(tmp_path)
    done = doctest.testfile(str(ROOT / page), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert done.attempted > 0
    assert done.failed == 0


def test_the_pages_for_users_of_python_have_examples() -> None:
    assert {"README.md", "docs/python.md"} <= {page for page, blocks in BLOCKS.items() if blocks}


@pytest.mark.parametrize(
    ("page", "block"), [(page, block) for page, blocks in BLOCKS.items() for block in blocks]
)
def test_every_line_of_a_block_is_in_a_session_that_is_run(page: str, block: str) -> None:
    parts = doctest.DocTestParser().parse(block, page)
    left_out = [part for part in parts if isinstance(part, str) and part.strip()]
    assert left_out == []
    assert not any(doctest.SKIP in e.options for e in parts if isinstance(e, doctest.Example))
