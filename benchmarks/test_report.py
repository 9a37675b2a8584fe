"""What the report says of timings."""

from __future__ import annotations

import os

import cases
import generator
import levels
import machine
import pytest
import report
from report import Result, Row, ours_name

from crossmargin.engine import default_threads

PEER = next(iter(report.PEERS))


@pytest.fixture
def both(monkeypatch):
    monkeypatch.setattr(report, "measured", lambda: ("avx2", "avx512"))


def timings(avx2, avx512, peer, tier="L", full=False):
    case = cases.pass_case(generator.TIERS[tier], generator.make_book(generator.TIERS["S"]))
    rows = [
        Row(ours_name(level, threads), [seconds], "0")
        for level, seconds in (("avx2", avx2), ("avx512", avx512))
        for threads in sorted({1, default_threads()}, reverse=True)
    ]
    return Result(case, full, [*rows, Row(PEER, [peer], "0")])


def said(results):
    targets = [line for target in report.TARGETS for line in report.against_peers(target, results)]
    return [line.removeprefix("- **").split("**")[0] for line in targets]


def test_each_level_has_its_own_target(both):
    assert said([timings(0.1, 0.1, 1.05)]) == ["met", "missed"]
    assert said([timings(0.1, 0.05, 0.9)]) == ["missed", "met"]
    assert said([timings(0.1, 0.1, 0.85, full=True)]) == ["met"]
    assert said([timings(0.1, 0.1, 0.3, tier="S")]) == ["met"]
    assert said([timings(0.1, 0.1, 2.0, tier="W")]) == ["missed"]


def test_a_machine_with_one_level_is_judged_by_it(monkeypatch):
    monkeypatch.setattr(report, "measured", lambda: ("avx2",))
    assert said([timings(0.1, 0.01, 1.05)]) == ["met"]


def test_table_has_a_ratio_for_each_level(both):
    result = timings(0.1, 0.05, 1.0)
    result.insert([Row(f"{report.OURS}, {report.FIRST_CALL}", [0.2])])
    limits = machine.Machine("cpu", 2, (), {}, "", None, None, {})
    *_, first, peer, _ = report.table(result, limits)
    assert report.FIRST_CALL in first
    assert "| 10.0, 10.0 | 20.0, 20.0 | 0 |" in peer


def test_levels_are_set_for_a_while(monkeypatch):
    monkeypatch.delenv(levels.VARIABLE, raising=False)
    for level in levels.measured():
        with levels.using(level):
            assert levels.info().instruction_set == level
    assert levels.VARIABLE not in os.environ
