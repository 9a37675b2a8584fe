"""Prints the machine and the backends that a benchmark runs on.

Run with ``pytest benchmarks``. Every benchmark checks its own answer; none fails for being slow.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module
from pathlib import Path

from crossmargin.engine import info

# The modules beside this one, such as the generator, are not a package.
sys.path.insert(0, str(Path(__file__).parent))


def pytest_report_header() -> list[str]:
    here, cpu = info(), import_module("machine").cpu_model()
    return [
        f"machine: {cpu}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
        f"engine: {here.backend} ({here.instruction_set}), available: {', '.join(here.available)}, "
        f"{here.threads} threads by default",
    ]
