"""Each kernel by itself: 600 instruments x 2,750 scenarios, every backend, one thread and all.

Each benchmark's extra info has `accounts/s` or `cells/s` (instrument x scenario).
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from crossmargin import engine

INSTRUMENTS, SCENARIOS, FACTORS, ACCOUNTS = 600, 2750, 19, 300
THREADS = sorted({1, engine.default_threads()})
FAST = [name for name in ("native", "numba") if name in engine.info().available]

pytestmark = [
    pytest.mark.parametrize("threads", THREADS),
    pytest.mark.parametrize("backend", FAST),
]


def make_book(rows, mean_lines, seed):
    """Return a book: log-normal row lengths, popular instruments first."""
    rng = np.random.default_rng(seed)
    spread = 0.8
    lengths = rng.lognormal(np.log(mean_lines) - spread**2 / 2, spread, rows)
    lengths = np.clip(np.rint(lengths).astype(int), 1, INSTRUMENTS)
    popularity = 1.0 / np.arange(10, INSTRUMENTS + 10)
    popularity /= popularity.sum()
    column = [np.sort(rng.choice(INSTRUMENTS, n, replace=False, p=popularity)) for n in lengths]
    quantity = rng.integers(-10_000, 10_000, lengths.sum())
    return engine.Book.from_arrays(
        np.cumsum([0, *lengths]), np.concatenate(column), quantity, INSTRUMENTS
    )


@pytest.fixture(scope="module")
def cubes():
    rng = np.random.default_rng(2)
    market = rng.standard_t(4, (2, 5, SCENARIOS))
    loading = rng.normal(0, 20, (2, INSTRUMENTS, 5))
    pnl = [sum(loading[c, :, f, None] * market[c, f] for f in range(5)) for c in range(2)]
    return [engine.Cube(np.rint(p * 2.0**20) * 2.0**-20) for p in pnl]


@pytest.fixture(scope="module")
def shock():
    return np.random.default_rng(3).normal(0, 0.002, (SCENARIOS, FACTORS))


def run(benchmark, call, unit, amount, backend, threads):
    """Time a call after one that may compile, note its speed, and return its answer."""
    call()
    answer = benchmark.pedantic(call, rounds=5)
    benchmark.extra_info |= {
        "backend": backend,
        "instruction_set": engine.info(backend).instruction_set,
        "threads": threads,
        unit: round(amount / benchmark.stats.stats.min) if benchmark.stats else None,
    }
    return answer


def test_tails(benchmark, cubes, backend, threads):
    book = make_book(ACCOUNTS, 40, seed=1)
    answer = run(
        benchmark,
        lambda: engine.tails(book, cubes[0], threads=threads, backend=backend),
        "accounts/s",
        ACCOUNTS,
        backend,
        threads,
    )
    expected = engine.tails(book, cubes[0], backend="reference")
    assert answer.var.tobytes() == expected.var.tobytes()
    assert answer.es.tobytes() == expected.es.tobytes()
    np.testing.assert_array_equal(answer.scenario, expected.scenario)


def test_segment_tails(benchmark, cubes, backend, threads):
    """Two cubes, cash and futures, alone and together: six tails an account."""
    book = make_book(2 * ACCOUNTS, 20, seed=4)
    measures = [engine.Measure(cube) for cube in cubes]

    def call(backend=backend):
        return engine.segment_tails(
            book,
            measures,
            segments=2,
            unions=[[0], [1], [0, 1]],
            threads=threads,
            backend=backend,
        )

    answer = run(benchmark, call, "accounts/s", ACCOUNTS, backend, threads)
    expected = call("reference")
    assert answer.var.tobytes() == expected.var.tobytes()
    assert answer.es.tobytes() == expected.es.tobytes()


def test_box_tails(benchmark, cubes, backend, threads):
    """Five lines of up to a hundred lots, all scenarios and the last 500; low bounds only."""
    rng = np.random.default_rng(6)
    boxes, lines = 2 * ACCOUNTS, 10 * ACCOUNTS
    base = engine.Cube(engine.book_pnl(make_book(ACCOUNTS, 40, seed=1), cubes[0]))
    lower = rng.integers(-500, 500, lines)
    arguments = {
        "base": base,
        "row": np.arange(boxes) // 2,
        "ptr": np.arange(0, lines + 1, 5),
        "instrument": rng.integers(0, INSTRUMENTS, lines),
        "lower": lower,
        "upper": lower + rng.integers(0, 100, lines),
        "sign": rng.choice([-1, 1], boxes),
        "want_upper": False,
    }
    measures = [engine.Measure(cubes[0]), engine.Measure(cubes[0], 0.99, slice(-500, None))]

    def call(backend=backend):
        return engine.box_tails(measures, **arguments, threads=threads, backend=backend)

    answer = run(benchmark, call, "boxes/s", boxes, backend, threads)
    expected = call("reference")
    assert answer.low.tobytes() == expected.low.tobytes()
    assert answer.middle.tobytes() == expected.middle.tobytes()
    np.testing.assert_array_equal(answer.scenario, expected.scenario)


def test_revalue(benchmark, shock, backend, threads):
    """Terms like those of notes and futures: 1,500 dates, 20 flows a line, baskets of ten."""
    rng = np.random.default_rng(5)
    dates, flows = 1500, 20
    lines = np.where(np.arange(INSTRUMENTS) < INSTRUMENTS - 24, 1, 10)
    total = int(lines.sum())
    terms = SimpleNamespace(
        exponent_ptr=np.arange(0, 2 * dates + 1, 2),
        exponent_factor=np.sort(rng.integers(0, FACTORS, (dates, 2)), axis=1).ravel(),
        exponent_weight=rng.uniform(0, 15, 2 * dates),
        line_ptr=np.arange(0, total * flows + 1, flows),
        term_exponent=rng.integers(0, dates, total * flows),
        term_amount=rng.uniform(0.5, 5, total * flows),
        line_offset=rng.normal(0, 1, total),
        instrument_ptr=np.cumsum([0, *lines]),
        scale=rng.choice([1.0, 1000.0], INSTRUMENTS),
        linear_ptr=np.arange(INSTRUMENTS + 1),
        linear_factor=rng.integers(0, FACTORS, INSTRUMENTS),
        linear_loading=rng.normal(0, 1000, INSTRUMENTS),
    )
    answer = run(
        benchmark,
        lambda: engine.revalue(terms, shock, threads=threads, backend=backend),
        "cells/s",
        INSTRUMENTS * SCENARIOS,
        backend,
        threads,
    )
    assert answer.tobytes() == engine.revalue(terms, shock, backend="reference").tobytes()


def test_taylor(benchmark, shock, backend, threads):
    """Gradient and Hessian in the eleven nodes, and a basis."""
    rng = np.random.default_rng(6)
    k, n = np.triu_indices(11)
    features = np.concatenate([np.arange(12), engine.feature_index(k, n, FACTORS)])
    arguments = (
        np.arange(0, INSTRUMENTS * len(features) + 1, len(features)),
        np.tile(features, INSTRUMENTS),
        rng.normal(0, 1000, INSTRUMENTS * len(features)),
        shock,
    )
    answer = run(
        benchmark,
        lambda: engine.taylor(*arguments, threads=threads, backend=backend),
        "cells/s",
        INSTRUMENTS * SCENARIOS,
        backend,
        threads,
    )
    assert answer.tobytes() == engine.taylor(*arguments, backend="reference").tobytes()
