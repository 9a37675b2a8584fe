from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossmargin.agreement.savings import Saving, agree
from crossmargin.margin.portfolios import CcpMargin
from crossmargin.policies import read_policy

RULES = read_policy().agreement
UNKNOWN = None


def margin_at(name: str, *accounts: tuple[float | None, float | None, float | None]) -> CcpMargin:
    """Return a clearing house's V of cash, futures and both; None is unknown."""
    v = np.zeros((len(accounts), 5))
    unknown = np.zeros(v.shape, dtype=bool)
    for row, values in enumerate(accounts):
        for portfolio, value in enumerate(values):
            unknown[row, portfolio] = value is None
            # What stands where V is unknown must not matter.
            v[row, portfolio] = 7e9 if value is None else value
    return CcpMargin(name, v, unknown, {})


def saving(
    ficc: tuple[Any, Any, Any],
    cme: tuple[Any, Any, Any],
    *,
    eligible: bool = True,
    complete: bool = True,
    two_sided: bool = True,
    **rules: float,
) -> Saving:
    return agree(
        margin_at("FICC", ficc),
        margin_at("CME", cme),
        eligible=np.array([eligible]),
        complete=np.array([complete]),
        two_sided=np.array([two_sided]),
        rules=replace(RULES, **rules),
    )


def outcome(result: Saving) -> tuple[float, str, bool, str]:
    return result.offset_rate[0], result.binding[0], bool(result.capped[0]), result.reason[0]


@pytest.mark.parametrize(
    ("ficc", "cme", "offset_rate_ficc", "offset_rate_cme", "expected"),
    [
        # 1 - 75/100 and 1 - 60/120: the smaller one is FICC's.
        ((60.0, 40.0, 75.0), (80.0, 40.0, 60.0), 0.25, 0.5, (0.25, "FICC", False, "")),
        ((60.0, 40.0, 50.0), (80.0, 40.0, 90.0), 0.5, 0.25, (0.25, "CME", False, "")),
        # A tie is FICC's.
        ((60.0, 40.0, 50.0), (80.0, 40.0, 60.0), 0.5, 0.5, (0.5, "FICC", False, "")),
        # 0.875 and 1: both above the cap of 0.8.
        ((60.0, 40.0, 12.5), (80.0, 40.0, 0.0), 0.875, 1.0, (0.8, "FICC", True, "")),
        # The cap is reached, not passed.
        ((60.0, 40.0, 50.0), (80.0, 40.0, 0.0), 0.5, 1.0, (0.5, "FICC", False, "")),
        ((60.0, 40.0, 100.0), (80.0, 40.0, 60.0), 0.0, 0.5, (0.0, "", False, "NO_SAVING")),
        # Margined together they need more: VaR is not subadditive.
        ((60.0, 40.0, 125.0), (80.0, 40.0, 60.0), -0.25, 0.5, (0.0, "", False, "NO_SAVING")),
        # Below 1%.
        ((64.0, 64.0, 127.0), (80.0, 40.0, 60.0), 1 / 128, 0.5, (0.0, "", False, "BELOW_MINIMUM")),
        # One side has no margin, though it is not empty: still a saving to speak of.
        ((100.0, 0.0, 75.0), (80.0, 40.0, 60.0), 0.25, 0.5, (0.25, "FICC", False, "")),
    ],
)
def test_share_is_the_smaller_of_both(
    ficc: Any, cme: Any, offset_rate_ficc: float, offset_rate_cme: float, expected: Any
) -> None:
    result = saving(ficc, cme)
    assert (result.offset_rate_ficc[0], result.offset_rate_cme[0]) == (
        offset_rate_ficc,
        offset_rate_cme,
    )
    assert result.known_ficc[0]
    assert result.known_cme[0]
    assert outcome(result) == expected


def test_published_margin_of_swaps_with_futures_is_capped_here() -> None:
    # CME, 2025: 1,568,352 and 569,910 apart, 46,161 together, some 98% less. That programme has no
    # cap; under this one's a fifth is left.
    result = saving((1_568_352.0, 569_910.0, 46_161.0), (569_910.0, 1_568_352.0, 46_161.0))
    assert (
        result.offset_rate_ficc[0] == result.offset_rate_cme[0] == pytest.approx(0.97841, abs=1e-5)
    )
    assert outcome(result) == (0.8, "FICC", True, "")


def test_minimum_itself_is_enough() -> None:
    result = saving((60.0, 40.0, 75.0), (80.0, 40.0, 60.0), minimum_saving=0.25)
    assert outcome(result) == (0.25, "FICC", False, "")


def test_cap_itself_is_not_capped() -> None:
    result = saving((60.0, 40.0, 75.0), (80.0, 40.0, 60.0), cap=0.25)
    assert outcome(result) == (0.25, "FICC", False, "")


def test_cap_of_nothing_leaves_nothing_that_binds() -> None:
    result = saving((60.0, 40.0, 75.0), (80.0, 40.0, 60.0), cap=0.0)
    assert outcome(result) == (0.0, "", True, "")


@pytest.mark.parametrize(
    ("ficc", "cme", "known"),
    [
        ((0.0, 0.0, 0.0), (80.0, 40.0, 60.0), (False, True)),
        ((60.0, 40.0, 75.0), (0.0, 0.0, 5.0), (True, False)),
    ],
)
def test_zero_denominator_is_one_sided_and_null(ficc: Any, cme: Any, known: Any) -> None:
    result = saving(ficc, cme)
    assert (result.known_ficc[0], result.known_cme[0]) == known
    assert outcome(result) == (0.0, "", False, "ONE_SIDED")


@pytest.mark.parametrize(
    "unknown", [(UNKNOWN, 40.0, UNKNOWN), (60.0, UNKNOWN, UNKNOWN), (UNKNOWN, UNKNOWN, UNKNOWN)]
)
@pytest.mark.parametrize("swap", [False, True])
def test_unpriced_account_is_incomplete_and_null(unknown: Any, swap: bool) -> None:
    good = (80.0, 40.0, 60.0)
    result = saving(good, unknown) if swap else saving(unknown, good)
    assert (result.known_ficc[0], result.known_cme[0]) == (swap, not swap)
    assert outcome(result) == (0.0, "", False, "INCOMPLETE")


GOOD = (60.0, 40.0, 50.0)


@pytest.mark.parametrize(
    ("ficc", "flags", "reason"),
    [
        # NOT_ELIGIBLE before INCOMPLETE before ONE_SIDED before NO_SAVING before BELOW_MINIMUM.
        (GOOD, {"eligible": False, "complete": False, "two_sided": False}, "NOT_ELIGIBLE"),
        ((UNKNOWN, 1.0, UNKNOWN), {"eligible": False}, "NOT_ELIGIBLE"),
        (GOOD, {"complete": False, "two_sided": False}, "INCOMPLETE"),
        ((UNKNOWN, 1.0, UNKNOWN), {"two_sided": False}, "INCOMPLETE"),
        (GOOD, {"complete": False}, "INCOMPLETE"),
        (GOOD, {"two_sided": False}, "ONE_SIDED"),
        ((60.0, 0.0, 60.0), {"two_sided": False}, "ONE_SIDED"),
        ((60.0, 40.0, 100.0), {}, "NO_SAVING"),
        ((64.0, 64.0, 127.0), {}, "BELOW_MINIMUM"),
    ],
)
def test_first_reason_in_rank_is_given(ficc: Any, flags: Any, reason: str) -> None:
    result = saving(ficc, (80.0, 40.0, 60.0), **flags)
    assert outcome(result) == (0.0, "", False, reason)


def test_raw_shares_are_reported_whatever_the_reason() -> None:
    result = saving((60.0, 40.0, 75.0), (80.0, 40.0, 60.0), eligible=False)
    assert (result.offset_rate_ficc[0], result.offset_rate_cme[0]) == (0.25, 0.5)


def test_groups_at_other_firms_have_no_share() -> None:
    result = agree(
        margin_at("FICC", (60.0, 40.0, 75.0), (1.0, 1.0, 1.0)),
        margin_at("CME", (80.0, 40.0, 60.0), (1.0, 1.0, 1.0)),
        eligible=np.array([True]),
        complete=np.array([True]),
        two_sided=np.array([True]),
        rules=RULES,
    )
    assert result.offset_rate.tolist() == [0.25]
    assert all(len(getattr(result, name)) == 1 for name in Saving.__dataclass_fields__)
