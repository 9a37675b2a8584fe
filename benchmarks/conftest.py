"""Says on which machine and with which backends a benchmark ran.

Run with ``pytest benchmarks``. Every benchmark checks its own answer; none of them fails on time.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from crossmargin.engine import info

# The modules beside this one, such as the generator, are no package.
sys.path.insert(0, str(Path(__file__).parent))


def pytest_report_header() -> list[str]:
    here = info()
    return [
        f"machine: {cpu_model()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
        f"engine: {here.backend} ({here.instruction_set}), available: {', '.join(here.available)}, "
        f"{here.threads} threads by default",
    ]


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
