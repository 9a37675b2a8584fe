from __future__ import annotations

import os
from pathlib import Path

import pytest

from crossmargin.exceptions import InputError
from crossmargin.files import read_file


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert read_file(path, limit=3, label="x") == b"abc"
    with pytest.raises(InputError, match="x: 3 bytes, above the limit of 2"):
        read_file(path, limit=2, label="x")


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(InputError, match="x: not a regular file"):
            read_file(path, limit=10, label="x")


def test_a_file_that_is_not_there_or_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="x: no such file"):
        read_file(tmp_path / "absent", limit=10, label="x")
    with pytest.raises(InputError, match="x: cannot be opened"):
        read_file(Path("a\0b"), limit=10, label="x")


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    # The kernel states a size of zero for what it makes up as it is read.
    with pytest.raises(InputError, match="x: the file changed while it was read"):
        read_file(Path("/proc/self/status"), limit=1 << 20, label="x")
