"""The limits of this machine: multiply-adds a second, and bytes read a second.

The probes are a few lines of C, compiled here by the system's compiler for this very CPU, called by
ctypes (which releases the GIL) from one thread on each core. Run it alone: ``python
benchmarks/machine.py``.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

SOURCE = """
#include <stdint.h>
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
typedef uint64_t Bits __attribute__((vector_size(BYTES)));

int vector_bytes(void) { return BYTES; }

/* Twelve chains that do not wait for each other hide the latency of two multiply-add units. */
#define PROBE(name, type)                                                                     \\
  double name(int64_t rounds, type factor, type term) {                                       \\
    typedef type V __attribute__((vector_size(BYTES)));                                       \\
    V m = (V){0} + factor, t = (V){0} + term;                                                 \\
    V a = t, b = a + t, c = b + t, d = c + t, e = d + t, f = e + t;  /* equal ones would merge */ \\
    V g = f + t, h = g + t, i = h + t, j = i + t, k = j + t, l = k + t;                       \\
    for (int64_t r = 0; r < rounds; ++r) {                                                    \\
      a = a * m + t; b = b * m + t; c = c * m + t; d = d * m + t;                             \\
      e = e * m + t; f = f * m + t; g = g * m + t; h = h * m + t;                             \\
      i = i * m + t; j = j * m + t; k = k * m + t; l = l * m + t;                             \\
    }                                                                                         \\
    V sum = ((a + b) + (c + d)) + ((e + f) + (g + h)) + ((i + j) + (k + l));                  \\
    return sum[0];                                                                            \\
  }
PROBE(fma_float32, float)
PROBE(fma_float64, double)

uint64_t read_all(const Bits* p, int64_t vectors, int64_t passes) {
  Bits a = {0}, b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (int64_t pass = 0; pass < passes; ++pass) {
    for (int64_t i = 0; i + 8 <= vectors; i += 8) {
      a ^= p[i]; b ^= p[i + 1]; c ^= p[i + 2]; d ^= p[i + 3];
      e ^= p[i + 4]; f ^= p[i + 5]; g ^= p[i + 6]; h ^= p[i + 7];
    }
    __asm__ volatile("" ::: "memory");
  }
  Bits all = (a ^ b) ^ (c ^ d) ^ (e ^ f) ^ (g ^ h);
  return all[0];
}
"""
CHAINS = 12
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC")
REPEATS = 30
WORTH_NAMING = (
    *("sse4_2", "avx", "fma", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512_vnni"),
    *("avx512_bf16", "asimd", "sve"),
)


@dataclass(frozen=True)
class Rate:
    """A rate on one core and on all cores at once, a second."""

    one: float
    every: float

    @property
    def gain(self) -> float:
        """The rate of all cores as a multiple of that of one."""
        return self.every / self.one

    def best_of(self, other: Rate) -> Rate:
        """Return the higher rates of two."""
        return Rate(max(self.one, other.one), max(self.every, other.every))


@dataclass(frozen=True)
class Machine:
    """A machine and its measured limits; None where there is no C compiler.

    Attributes
    ----------
    cpu : str
        The model.
    cores : int
        Those this process may use.
    instruction_sets : tuple of str
        The ones that matter here.
    cache : dict of str to int
        L1, L2 and L3, bytes.
    how : str
        What the probes were built with.
    float32, float64 : Rate or None
        Floating-point operations; a multiply-add counts two.
    read : dict of str to Rate
        Bytes read from L1, L2, L3 and DRAM.
    """

    cpu: str
    cores: int
    instruction_sets: tuple[str, ...]
    cache: dict[str, int]
    how: str
    float32: Rate | None
    float64: Rate | None
    read: dict[str, Rate]

    def best_of(self, other: Machine) -> Machine:
        """Return the better of two measurements, rate by rate, since other load lowers each."""
        if self.float32 is None or other.float32 is None:
            return self
        assert self.float64 is not None
        assert other.float64 is not None
        return replace(
            self,
            float32=self.float32.best_of(other.float32),
            float64=self.float64.best_of(other.float64),
            read={name: rate.best_of(other.read[name]) for name, rate in self.read.items()},
        )

    def lines(self) -> list[str]:
        """Return the machine as Markdown."""
        sizes = ", ".join(f"{name} {size // 1024} KiB" for name, size in self.cache.items())
        text = [
            f"- {self.cpu}, {self.cores} cores used, {platform.system()} {platform.machine()}",
            f"- instruction sets: {', '.join(self.instruction_sets) or 'unknown'}; caches: {sizes}",
            f"- probes: {self.how}",
        ]
        if self.float32 is None or self.float64 is None:
            return text
        rows = [("float32 multiply-adds", "GFLOP/s", self.float32)]
        rows.append(("float64 multiply-adds", "GFLOP/s", self.float64))
        rows += [(f"read from {name}", "GB/s", rate) for name, rate in self.read.items()]
        text += ["", "| measured here | one core | all cores | gain |", "|---|---|---|---|"]
        text += [
            f"| {name} | {rate.one / 1e9:.1f} {unit} | {rate.every / 1e9:.1f} {unit} "
            f"| {rate.gain:.2f} |"
            for name, unit, rate in rows
        ]
        return text


def measure(cores: int | None = None) -> Machine:
    """Return the measured limits of this machine, after some seconds.

    Parameters
    ----------
    cores : int, optional
        Threads of the `every` rates; the process's CPUs if not given.
    """
    cores = cores or len(os.sched_getaffinity(0))
    cache = cache_sizes()
    probes = build()
    about = (cpu_model(), cores, instruction_sets(), cache)
    if probes is None:
        return Machine(*about, "not measured: no C compiler found (cc, gcc, clang)", None, None, {})
    library, compiler = probes
    width = library.vector_bytes()
    how = (
        f"C compiled by {compiler} {' '.join(FLAGS[:3])}, {8 * width}-bit vectors, {CHAINS} "
        f"independent chains, best of {REPEATS}"
    )
    rates = {}
    for name, lanes in (("float32", width // 4), ("float64", width // 8)):
        probe, rounds = library[f"fma_{name}"], 4_000_000
        probe.restype = ctypes.c_double
        number = ctypes.c_float if name == "float32" else ctypes.c_double
        probe.argtypes = (ctypes.c_int64, number, number)
        work = 2.0 * CHAINS * lanes * rounds

        def call(_: int, probe: Callable[..., float] = probe, rounds: int = rounds) -> float:
            return probe(rounds, 0.5, 1.0)

        rates[name] = rate(call, work, cores)
    read = {}
    biggest = max(cache.values())
    places = {"L1": cache["L1"] // 2, "L2": cache["L2"] // 2}
    places |= {"L3": max(cache["L3"] // (2 * cores), 2 * cache["L2"]), "DRAM": 4 * biggest}
    for name, size in places.items():
        read[name] = read_rate(library, size, cores)
    return Machine(*about, how, rates["float32"], rates["float64"], read)


def rate(call: Callable[[int], object], work: float, cores: int) -> Rate:
    """Return the best rate of `work` a call on one core and on all; the call gets its core."""
    one = max(work / together(call, 1) for _ in range(REPEATS))
    return Rate(one, max(cores * work / together(call, cores) for _ in range(REPEATS)))


def together(call: Callable[[int], object], threads: int) -> float:
    """Return the seconds until calls that start together on some threads have all ended."""
    barrier = threading.Barrier(threads)
    spans: list[tuple[float, float]] = []

    def work(core: int) -> None:
        barrier.wait()
        begin = time.perf_counter()
        call(core)
        spans.append((begin, time.perf_counter()))

    workers = [threading.Thread(target=work, args=(core,)) for core in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return max(end for _, end in spans) - min(begin for begin, _ in spans)


def read_rate(library: ctypes.CDLL, size: int, cores: int) -> Rate:
    """Return the bytes a second that threads read, each from its own buffer of a size."""
    library.read_all.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    width = library.vector_bytes()
    vectors = size // width // 8 * 8
    passes = max(1, 256 * 2**20 // size)
    store = [np.ones(vectors * width + 64, np.uint8) for _ in range(cores)]
    start = [-(-buffer.ctypes.data // 64) * 64 for buffer in store]

    def call(core: int) -> None:
        library.read_all(start[core], vectors, passes)

    return rate(call, float(vectors * width * passes), cores)


def build() -> tuple[ctypes.CDLL, str] | None:
    """Compile and load the probes; None without a compiler."""
    compiler = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "probe.c"), Path(folder, "probe.so")
        source.write_text(SOURCE)
        subprocess.run([compiler, *FLAGS, str(source), "-o", str(library)], check=True)
        version = subprocess.run(
            [compiler, "-dumpfullversion"], capture_output=True, text=True, check=True
        )
        return ctypes.CDLL(str(library)), f"{compiler} {version.stdout.strip()}"


def cache_sizes() -> dict[str, int]:
    """Return the bytes of L1 (data), L2 and L3 as Linux says, or usual ones."""
    sizes = {"L1": 32 * 1024, "L2": 1024 * 1024, "L3": 32 * 1024 * 1024}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if (index / "type").read_text().strip() != "Instruction":
            size = (index / "size").read_text().strip().removesuffix("K")
            sizes["L" + (index / "level").read_text().strip()] = int(size) * 1024
    return sizes


def cpu_model() -> str:
    """Return the CPU's name."""
    return proc_field("cpuinfo", "model name") or platform.processor() or platform.machine()


def instruction_sets() -> tuple[str, ...]:
    """Return the instruction sets of this CPU that matter here."""
    flags = (proc_field("cpuinfo", "flags") or proc_field("cpuinfo", "Features")).split()
    return tuple(name for name in WORTH_NAMING if name in flags)


def memory() -> float:
    """Return the bytes of memory that this process uses."""
    return _status("VmRSS")


def peak_memory() -> float:
    """Return the most bytes of memory that this process has used, or since the peak was reset."""
    # Not getrusage: its maximum includes that of the process that started this one.
    return _status("VmHWM")


def forget_peak_memory() -> None:
    """Begin anew with the peak, where Linux allows it."""
    # What is freed but kept by the allocator would count for what comes.
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> float:
    """Return a size of this process, bytes."""
    return float(proc_field("self/status", name).removesuffix(" kB")) * 1024.0


def proc_field(file: str, name: str) -> str:
    """Return a field of a file of /proc, or nothing."""
    try:
        lines = Path("/proc", file).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


if __name__ == "__main__":
    print("\n".join(measure().lines()))
