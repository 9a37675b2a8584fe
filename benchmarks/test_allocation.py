"""Which futures to move: the whole of a small book, checked beside simple rules."""

from __future__ import annotations

import numpy as np
import pytest
from allocation import ours
from allocation_books import sample_book
from allocation_rules import RULES, Desk
from report import section_of, with_section

import crossmargin as xm
from crossmargin.engine import default_threads

ACCOUNTS = 100


@pytest.fixture(scope="module")
def desk():
    return Desk(xm.run(**sample_book(accounts=ACCOUNTS)))


@pytest.mark.parametrize("threads", sorted({1, default_threads()}))
def test_allocation(benchmark, desk, threads):
    found = benchmark.pedantic(
        lambda: xm.allocate(desk.run, threads=threads), rounds=3, warmup_rounds=1
    )
    benchmark.extra_info["accounts/s"] = round(desk.deciding.size / benchmark.stats["median"])
    assert found.lines.to_arrow().equals(xm.allocate(desk.run).lines.to_arrow())


def test_no_start_of_the_search_is_better(desk):
    mine = ours(desk, xm.allocate(desk.run))[desk.deciding]
    for rule, choose in RULES.items():
        if not rule.startswith("greedy"):
            assert (mine <= desk.judge(desk.deciding, choose(desk))).all()


@pytest.mark.parametrize("rule", ["match DV01 by tenor bucket", "greedy, line by line"])
def test_rules_stay_within_the_lines(desk, rule):
    lines, choice = desk.lines, RULES[rule](desk)
    assert np.all((choice >= lines.lower) & (choice <= lines.upper))


def test_a_section_is_replaced_or_added():
    text = "# B\n\n## One\n\na\n\n## Two\n\nb\n"
    assert section_of(text, "One") == ["## One", "", "a"]
    assert section_of(text, "Three") == []
    assert with_section(text, "One", ["## One", "", "c"]) == text.replace("a", "c", 1)
    assert with_section(text, "Three", ["## Three"]) == f"{text}\n## Three\n"
