"""The thresholds of the notes on baskets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossmargin.policies import read_policy
from crossmargin.policies.sections.baskets import BasketRules

SOUND = BasketRules(missing_share=0.1, spread_bp=5.0, gap_points=1 / 64, later_share=0.5)


def test_only_the_second_version_has_them() -> None:
    assert read_policy("cme-ficc-2026-11-30").get(BasketRules) == SOUND
    for name in ("", "-span", "-charges"):
        assert read_policy(f"cme-ficc-2026-04-30{name}").get(BasketRules) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("missing_share", 1.01),
        ("missing_share", float("nan")),
        ("later_share", -0.1),
        ("spread_bp", 0.0),
        ("spread_bp", float("inf")),
        ("gap_points", -1.0),
        ("gap_points", float("nan")),
    ],
)
def test_senseless_thresholds_break_a_rule(name: str, value: float) -> None:
    assert all(SOUND.rules().values())
    broken = [text for text, holds in replace(SOUND, **{name: value}).rules().items() if not holds]
    assert len(broken) == 1
    assert name in broken[0]
