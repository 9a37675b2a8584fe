from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crossmargin.cycles.lock import held
from crossmargin.exceptions import InputError

HOLD = """
import sys, time
from pathlib import Path
from crossmargin.cycles.lock import held
with held(Path(sys.argv[1]), "day"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_refused_by_name_and_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError) as refused, held(path, "the day"):
            pass
        assert f"the day: is in use by process {holder.pid} on " in str(refused.value)
        assert " since 20" in str(refused.value)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with held(path, "the day"):
        assert path.stat().st_size > 0
    assert path.stat().st_size == 0


def test_a_lock_without_a_readable_holder_is_still_one(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with held(path, "day"):
        path.write_bytes(b"[" * 3000)
        with pytest.raises(InputError, match="in use by another process"), held(path, "day"):
            pass


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="cannot be locked"), held(tmp_path / ".lock", "day"):
        pass
    assert (tmp_path / "precious").read_text() == "x"
