"""Says on which machine and with which backends a benchmark ran.

Run with ``pytest benchmarks``. Every benchmark checks its own answer; none of them fails on time.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module
from pathlib import Path

from crossmargin.engine import info

# The modules beside this one, such as the generator, are no package.
sys.path.insert(0, str(Path(__file__).parent))


def pytest_report_header() -> list[str]:
    here, cpu = info(), import_module("machine").cpu_model()
    return [
        f"machine: {cpu}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
        f"engine: {here.backend} ({here.instruction_set}), available: {', '.join(here.available)}, "
        f"{here.threads} threads by default",
    ]
