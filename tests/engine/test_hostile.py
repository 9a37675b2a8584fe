"""Hostile arguments to every public function of the engine: an exception or a result, no crash.

The calls run in a process of their own, so that a segmentation fault is seen and not suffered.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import pickle
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossmargin import engine
from crossmargin.engine import Book, Cube, Measure
from crossmargin.engine.whatif import AskedBook, BucketSums

EXAMPLES = 1000
BOOK = {
    "row_ptr": np.array([0, 2, 3, 3, 5]),
    "column": np.array([0, 2, 1, 0, 1], np.int32),
    "quantity": np.array([10.0, -5.0, 3.0, 1.0, -2.0]),
    "columns": 3,
}
PNL = np.arange(-15.0, 15.0).reshape(3, 10)
SPREADS = {
    "leg_ptr": np.array([0, 2, 4]),
    "leg_commodity": np.array([0, 1, 1, 2], np.int32),
    "leg_ratio": np.array([1.0, 2.0, 1.0, 1.0]),
    "leg_side": np.array([1, -1, 1, -1], np.int8),
    "rate": np.array([0.5, 0.25]),
}
TERMS = {
    "exponent_ptr": np.array([0, 1, 3]),
    "exponent_factor": np.array([0, 0, 1], np.int32),
    "exponent_weight": np.array([1.0, 0.5, 0.5]),
    "line_ptr": np.array([0, 1, 3]),
    "term_exponent": np.array([0, 0, 1], np.int32),
    "term_amount": np.array([100.0, 50.0, 60.0]),
    "line_offset": np.array([0.0, -1.0]),
    "instrument_ptr": np.array([0, 1, 2]),
    "scale": np.array([1.0, 10.0]),
    "linear_ptr": np.array([0, 0, 2]),
    "linear_factor": np.array([1, 0], np.int32),
    "linear_loading": np.array([3.0, -2.0]),
}
SHOCK = np.array([[0.01, -0.01], [0.0, 0.02], [0.001, 0.0]])
SIDES = {"long": np.array([[7.0, 0.0], [1.0, 2.0]]), "short": np.array([[4.0, 5.0], [2.0, 1.0]])}


def measured(book, cube, scenarios=None, level=0.5, segments=2, unions=((0,), (0, 1))):
    measures = [Measure(cube, level), Measure(cube, level, scenarios)]
    arguments = {"segments": segments, "unions": unions, "scenarios": True}
    engine.segment_tails(book, measures, **arguments)
    list(engine.segment_tails_batches([book, book], measures, **arguments))


def asked(value, bucket, rate, mark, segments, unions, account, legs):
    book = Book(**BOOK)
    sums = BucketSums(value, bucket, rate, unions)
    tails = [(Measure(Cube(PNL), 0.5), unions)]
    AskedBook(book, segments=segments, tails=tails, sums=sums, mark=mark).keep(account).ask(legs)


def boxed(level, scenarios, **arguments):
    cube = Cube(PNL)
    engine.box_tails([Measure(cube, level), Measure(cube, 0.5, scenarios)], **arguments)


def copied(row_ptr, column, quantity, columns):
    book = dataclasses.replace(Book(**BOOK), row_ptr=row_ptr, column=column, quantity=quantity)
    for other in (copy.deepcopy(book), pickle.loads(pickle.dumps(book))):
        measured(other, Cube(PNL))


CALLS = {
    "Book": (lambda **a: measured(Book(**a), Cube(PNL)), BOOK),
    "from_arrays": (lambda **a: measured(Book.from_arrays(**a), Cube(PNL)), BOOK),
    "copies": (copied, BOOK),
    "Cube": (lambda **a: measured(Book(**BOOK), Cube(**a)), {"pnl": PNL, "scenario": range(10)}),
    "segment_tails": (
        lambda **a: measured(Book(**BOOK), Cube(PNL), **a),
        {"scenarios": np.array([1, 3, 9]), "level": 0.5, "segments": 2, "unions": [[0], [0, 1]]},
    ),
    "objects": (measured, {"book": SimpleNamespace(**BOOK, rows=4), "cube": Cube(PNL)}),
    "revalue": (
        lambda shock, **a: engine.revalue(SimpleNamespace(**a), shock),
        TERMS | {"shock": SHOCK},
    ),
    "taylor": (
        engine.taylor,
        {
            "poly_ptr": np.array([0, 2, 3]),
            "poly_feature": np.array([0, 3, 4], np.int32),
            "poly_coefficient": np.array([1.0, 2.0, 3.0]),
            "shock": SHOCK,
        },
    ),
    "feature_index": (engine.feature_index, {"k": [0, 1], "l": [1, 1], "factors": 2}),
    "spread_credits": (
        engine.spread_credits,
        {"net_delta": np.ones((2, 3)), "scan_risk": np.ones((2, 3)), **SPREADS},
    ),
    "tier_charges": (
        engine.tier_charges,
        SIDES | {"tier_a": [0, 0], "tier_b": [0, 1], "charge": np.array([10.0, 100.0])},
    ),
    "offset_classes": (
        engine.offset_classes,
        SIDES
        | {
            "factor": np.array([0.1, 0.2]),
            "class_i": np.array([0], np.int32),
            "class_j": np.array([1], np.int32),
            "disallowance": np.array([0.4]),
        },
    ),
    "box_tails": (
        boxed,
        {
            "level": 0.5,
            "scenarios": slice(2, 7),
            "base": PNL[:2] + 1.0,
            "row": np.array([0, 1, 1], np.int32),
            "ptr": np.array([0, 2, 2, 5]),
            "instrument": np.array([0, 2, 1, 1, 0], np.int32),
            "lower": np.array([0, -5, 3, 1, -2]),
            "upper": np.array([4, -5, 9, 2, 2]),
            "sign": np.array([1, -1, 1], np.int8),
            "want_upper": np.array([True, False, True]),
        },
    ),
    "book_pnl": (lambda **a: engine.book_pnl(Book(**a), Cube(PNL)), BOOK),
    "asked": (
        asked,
        {
            "value": np.ones(3),
            "bucket": np.array([0, 1, 1], np.int32),
            "rate": np.array([0.1, 0.2]),
            "mark": np.array([1, 2, 3], np.uint8),
            "segments": 2,
            "unions": [[0], [0, 1]],
            "account": 1,
            "legs": [(0, 1, 5), (1, 2, -3)],
        },
    ),
}

TYPES = ["i1", "u8", ">i4", ">f8", "f2", "?", "O", "U4", "M8[D]", "c16"]
STRANGE = [-1, 3, 2**31 - 1, -(2**31), 2**40, 2**63, 0.5, -0.0, np.nan, np.inf, 1e308, True, None]
ODD = [*STRANGE, "x", "", b"x", [], [[]], {}, (), object(), np.datetime64("2025-03-13"), 1j]


@st.composite
def spoiled(draw, value):
    """Return something like a valid argument, or something else."""
    how = draw(st.sampled_from(["element", "element", "resize", "type", "shape", "layout", "odd"]))
    if how == "odd" or not isinstance(value, np.ndarray):
        return draw(st.sampled_from(ODD))
    array = value.copy()
    if how == "element":
        wide = array.astype(draw(st.sampled_from([object, np.float64, np.int64, array.dtype])))
        with_it = draw(st.sampled_from(STRANGE))
        try:
            wide.flat[draw(st.integers(0, array.size - 1))] = with_it
        except (TypeError, ValueError, OverflowError):
            return wide
        return wide
    if how == "resize":
        return np.resize(array, draw(st.integers(0, 2 * array.size)))
    if how == "type":
        return array.astype("i8").astype(draw(st.sampled_from(TYPES)))
    if how == "shape":
        return draw(
            st.sampled_from([array[None], array[..., None], array.T, array[:0], array.flat[0]])
        )
    masked = np.ma.array(array, mask=draw(st.booleans()))
    twice = np.repeat(array, 2, axis=0)[::2]
    return draw(st.sampled_from([masked, twice, array[::-1], np.asfortranarray(array)]))


@st.composite
def calls(draw):
    name = draw(st.sampled_from(sorted(CALLS)))
    function, arguments = CALLS[name]
    changed = draw(st.sets(st.sampled_from(sorted(arguments)), max_size=3))
    return function, arguments | {key: draw(spoiled(arguments[key])) for key in sorted(changed)}


@settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(calls())
def attack(call):
    function, arguments = call
    with contextlib.suppress(Exception):
        function(**arguments)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_the_calls_are_right_before_they_are_spoiled(name):
    function, arguments = CALLS[name]
    if name == "objects":
        arguments = arguments | {"book": Book(**BOOK)}
    function(**arguments)


def test_no_argument_ends_the_process():
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", __file__],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "survived\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    attack()
    print("survived")
