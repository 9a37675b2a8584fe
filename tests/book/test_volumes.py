"""Average daily volumes: whose they are, and what is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.book.schemas import VOLUMES
from crossmargin.book.volumes import read_volumes
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.io.parse import parse

AS_OF = np.datetime64("2025-03-13")


def read(*rows: tuple[str, str]) -> dict[str, float]:
    columns = dict(zip(("contract", "adv"), zip(*rows, strict=True), strict=True))
    table = pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()})
    typed = parse(table, VOLUMES, file="volumes", log=ExceptionLog()).table
    volume, open_interest = read_volumes(typed, as_of=AS_OF)
    assert open_interest == {}
    return volume


def test_a_volume_is_a_contracts_or_a_roots() -> None:
    found = read(("ZN", "1800000"), ("znm5", "1700000.5"), ("SR3U25", "0"))
    assert found == {"ZN": 1800000.0, "ZNM25": 1700000.5, "SR3U25": 0.0}


def test_open_interest_may_stand_beside_a_volume() -> None:
    table = pa.table({"contract": ["ZN", "ZNM5"], "adv": ["9", "5"], "open_interest": ["", "4e6"]})
    typed = parse(table, VOLUMES, file="volumes", log=ExceptionLog()).table
    assert read_volumes(typed, as_of=AS_OF) == ({"ZN": 9.0, "ZNM25": 5.0}, {"ZNM25": 4e6})
    wrong = table.set_column(2, "open_interest", pa.array(["", "-4"]))
    with pytest.raises(InputError, match="volumes, row 2"):
        parse(wrong, VOLUMES, file="volumes", log=ExceptionLog())


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("ZN", "1"), ("ES", "2")], "volumes, row 2: 'ES' is not a known futures contract"),
        ([("ZNM5", "1"), ("ZNM25", "2")], "volumes, row 2: ZNM25 has an earlier row"),
        ([("ZN", "many")], "volumes, row 1"),
        ([("ZN", "")], "volumes, row 1"),
        ([("ZN", "-1")], "volumes, row 1"),
        ([("", "1")], "volumes, row 1"),
    ],
)
def test_what_cannot_be_used_is_refused_by_row(rows: list[tuple[str, str]], says: str) -> None:
    with pytest.raises(InputError, match=says):
        read(*rows)
