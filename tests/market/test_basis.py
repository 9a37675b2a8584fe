"""Changes of the basis: of one contract from end to end, over the rows of the curve."""

from __future__ import annotations

import numpy as np
import pytest

from crossmargin.market.basis import basis_by_root

AS_OF = np.datetime64("2025-12-31")


def bases(rows, as_of=AS_OF):
    date, root, contract, level = zip(*rows, strict=True)
    return basis_by_root(
        np.array(date, "datetime64[D]"),
        ranked(root),
        ranked(contract),
        np.array(level),
        as_of=as_of,
    )


def ranked(names):
    different = sorted(set(names))
    return np.array([different.index(name) for name in names]), different


def days(*texts):
    return np.array([f"2025-{t}" for t in texts], "datetime64[D]")


# ZNM25 ends as ZNU25 has begun: on 05-29 and 05-30 both are there.
ROLL = [
    ("2025-05-27", "ZN", "ZNM25", 0.10),
    ("2025-05-28", "ZN", "ZNM25", 0.20),
    ("2025-05-29", "ZN", "ZNM25", 0.40),
    ("2025-05-30", "ZN", "ZNM25", 0.80),
    ("2025-05-29", "ZN", "ZNU25", 1.00),
    ("2025-05-30", "ZN", "ZNU25", 2.00),
    ("2025-06-02", "ZN", "ZNU25", 4.00),
    ("2025-06-03", "ZN", "ZNU25", 8.00),
]
ROWS = days("05-27", "05-28", "05-29", "05-30", "06-02", "06-03")


def test_a_roll_never_mixes_two_contracts():
    basis = bases(ROLL)["ZN"]
    assert basis.contract == ("ZNM25", "ZNU25")
    change, known = basis.change(ROWS, 1)
    # 0.2-0.1, 0.4-0.2, then the contract that ends first, 0.8-0.4; then the next, 4-2 and 8-4.
    np.testing.assert_allclose(change, [0.1, 0.2, 0.4, 2.0, 4.0], rtol=1e-15)
    assert known.tolist() == [True] * 5


def test_without_both_ends_of_one_contract_a_row_adds_zero():
    basis = bases(ROLL)["ZN"]
    change, known = basis.change(ROWS, 3)
    # To 05-30 ZNM25 has both ends. To 06-02 from 05-28 none has, to 06-03 from 05-29 ZNU25 has.
    np.testing.assert_allclose(change, [0.7, 0.0, 7.0], rtol=1e-15)
    assert known.tolist() == [True, False, True]


def test_the_ends_are_rows_of_the_curve_and_not_of_the_basis():
    basis = bases(ROLL)["ZN"]
    # The curve lacks 05-28 and goes on after the basis ends; the basis lacks 05-26.
    rows = days("05-26", "05-27", "05-29", "05-30", "06-04")
    change, known = basis.change(rows, 1)
    np.testing.assert_allclose(change, [0.0, 0.3, 0.4, 0.0], rtol=1e-15)
    assert known.tolist() == [False, True, True, False]


def test_a_gap_within_a_contract_adds_zero_at_both_its_ends():
    rows = [r for r in ROLL[:4] if r[0] != "2025-05-28"]
    change, known = bases(rows)["ZN"].change(ROWS[:4], 1)
    np.testing.assert_allclose(change, [0.0, 0.0, 0.4], rtol=1e-15)
    assert known.tolist() == [False, False, True]


def test_the_order_of_the_rows_and_other_roots_do_not_matter():
    plain = bases(ROLL)["ZN"]
    other = [(d, "UB", "UBM25", -b) for d, _, c, b in ROLL if c == "ZNM25"]
    mixed = bases([*other, *reversed(ROLL)])
    assert list(mixed) == ["UB", "ZN"]
    assert mixed["ZN"].contract == plain.contract
    assert np.array_equal(mixed["ZN"].level, plain.level, equal_nan=True)
    assert mixed["UB"].level[:, 0].tolist() == [-0.1, -0.2, -0.4, -0.8]


def test_of_contracts_still_listed_the_one_listed_first_counts():
    # ZNZ25 is the nearer one, though ZNH26 comes first in the alphabet.
    rows = [
        ("2025-10-01", "ZN", "ZNZ25", 1.0),
        ("2025-10-02", "ZN", "ZNZ25", 1.5),
        ("2025-10-02", "ZN", "ZNH26", 5.0),
        ("2025-10-03", "ZN", "ZNZ25", 1.75),
        ("2025-10-03", "ZN", "ZNH26", 9.0),
    ]
    basis = bases(rows)["ZN"]
    assert basis.contract == ("ZNZ25", "ZNH26")
    change, _ = basis.change(days("10-01", "10-02", "10-03"), 1)
    assert change.tolist() == [0.5, 0.25]


def test_rows_after_the_as_of_date_are_not_looked_at():
    as_of = np.datetime64("2025-05-30")
    basis = bases(ROLL, as_of)["ZN"]
    assert basis.date[-1] == as_of
    assert bases(ROLL, np.datetime64("2025-05-26")) == {}


def test_two_rows_of_one_day_are_refused():
    with pytest.raises(ValueError, match="ZNU25 has two rows on 2025-05-30"):
        bases([*ROLL, ("2025-05-30", "ZN", "ZNU25", 2.0)])
