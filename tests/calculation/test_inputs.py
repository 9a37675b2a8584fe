from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import crossmargin as xm
from crossmargin.calculation.input_tables import Inputs
from crossmargin.calculation.inputs import read_inputs, rejected_rows
from crossmargin.exceptions import InputError


def test_inputs_are_read_whole_and_nothing_is_computed(
    sample_book: Callable[[int], dict[str, Any]],
) -> None:
    book = sample_book(12)
    inputs = read_inputs(Inputs(**book, market=xm.sample_market(), policy=xm.read_policy()))
    assert inputs.source["positions"]["rows_read"] == len(book["positions"])
    assert set(inputs.source) == {"positions", "accounts", "securities"}
    rejected = rejected_rows(inputs.exceptions)
    of_positions = [row for row in rejected.to_pylist() if row["file"] == "positions"]
    assert inputs.trades.row.size + len(of_positions) == len(book["positions"])


def test_more_rejected_rows_than_allowed_are_refused(
    sample_book: Callable[[int], dict[str, Any]],
) -> None:
    with pytest.raises(InputError, match=r"rows rejected, 0 allowed; the first: accounts, row"):
        read_inputs(
            Inputs(
                **sample_book(12),
                market=xm.sample_market(),
                policy=xm.read_policy(),
                max_rejected=0,
            )
        )


@pytest.mark.parametrize(
    "rows", [[("2026-06-10", None)], [("2026-06-11", 110.5)], [("2026-06-10", None)] * 2]
)
def test_settlements_without_a_price_are_refused(
    sample_book: Callable[[int], dict[str, Any]], rows: list[tuple[str, float | None]]
) -> None:
    date, price = zip(*rows, strict=True)
    table = pa.table({"date": date, "contract": ["ZNU26"] * len(rows), "price": price})
    with pytest.raises(InputError, match="settlements: has no price dated 2026-06-10 or earlier"):
        read_inputs(
            Inputs(
                **sample_book(12),
                market=xm.sample_market(),
                policy=xm.read_policy(),
                settlements=table,
            )
        )


def test_a_side_beside_quantities_without_sign_is_noted(
    sample_book: Callable[[int], dict[str, Any]],
) -> None:
    book = sample_book(12)
    positions = book["positions"]
    quantity = pc.abs(positions["quantity"].cast(pa.float64()))
    at = positions.column_names.index("quantity")
    positions = positions.set_column(at, "quantity", quantity)
    positions = positions.append_column("side", pa.array(["S"] * len(positions)))
    inputs = read_inputs(
        Inputs(
            **(book | {"positions": positions}), market=xm.sample_market(), policy=xm.read_policy()
        )
    )
    assert any("column `side` is not read" in m for m in inputs.exceptions["message"].to_pylist())
