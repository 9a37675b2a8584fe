"""The corpora of the fuzzers, read without one: InputError or a right result, nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "fuzz"
if not (FOLDER / "targets.py").exists():
    pytest.skip("the source distribution has no fuzzers", allow_module_level=True)

with pytest.MonkeyPatch.context() as path:
    path.syspath_prepend(FOLDER)
    targets = importlib.import_module("targets")


@pytest.mark.parametrize("name", targets.TARGETS)
def test_a_corpus_is_read_or_refused(name: str) -> None:
    files = sorted((targets.CORPUS / name).iterdir())
    complaints = [targets.feed(name, file.read_bytes()) for file in files]
    # It holds inputs of both kinds.
    assert None in complaints
    assert len(set(complaints)) > 1


@pytest.mark.parametrize("name", targets.TARGETS)
@pytest.mark.parametrize("data", [b"", b"\n", b"\0", b"\xff\xfe", b"a" * 3000, b",\n" * 200])
def test_bytes_that_are_no_input(name: str, data: bytes) -> None:
    targets.feed(name, data)
