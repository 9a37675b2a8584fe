"""What-ifs on a finished run: one at a time, and ten thousand in a call."""

from __future__ import annotations

import numpy as np
import pytest

import crossmargin as xm
from crossmargin.sample import sample_tables

MANY = 10_000


@pytest.fixture(scope="module")
def session():
    tables = sample_tables()
    book = {name: tables[name] for name in ("positions", "accounts", "securities")}
    return xm.Session(xm.run(**book, market=xm.sample_market()))


def questions(session, count):
    rng = np.random.default_rng(1)
    accounts = rng.choice(session.accounts, count)
    return [
        (str(a), {"ZNU26": int(n)})
        for a, n in zip(accounts, rng.integers(-99, 99, count), strict=True)
    ]


def test_one_what_if(benchmark, session):
    asked = iter(questions(session, 100_000))
    benchmark(lambda: session.what_if(*next(asked)))


def test_ten_thousand_what_ifs(benchmark, session):
    asked = questions(session, MANY)
    answers = benchmark.pedantic(lambda: session.what_ifs(asked), rounds=3)
    benchmark.extra_info["what-ifs/s"] = round(MANY / benchmark.stats["median"])
    some = answers.to_arrow().to_pylist()[::1000]
    assert some == [session.what_if(*question) for question in asked[::1000]]
