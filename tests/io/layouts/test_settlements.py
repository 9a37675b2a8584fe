from __future__ import annotations

import pyarrow as pa
import pytest

from crossmargin.io.sources import read_source


@pytest.mark.parametrize(
    ("quote", "price"),
    [
        ("110-165", "110.515625"),  # 110 and 16.5/32
        ("110'16.5", "110.515625"),
        ("110-16+", "110.515625"),
        ("110-16", "110.5"),
        ("110-162", "110.5078125"),  # 16.25/32
        ("103-167", "103.5234375"),  # 16.75/32
        ("103-163", "103.51171875"),  # 16.375/32
        (" 103'16.375 ", "103.51171875"),
        ("99-000", "99.0"),
        ("110.515625", "110.515625"),
        ("110-164", "110-164"),  # no eighth ends in 4
        ("110-32", "110-32"),
        ("110'16.3", "110'16.3"),
        ("-110", "-110"),
        ("", ""),
    ],
)
def test_prices_as_quoted(quote: str, price: str) -> None:
    table = pa.table({"date": ["2025-03-13"], "contract": ["ZNM5"], "price": [quote]})
    given = read_source(table, name="settlements")
    assert given.table["price"].to_pylist() == [price]
    assert bool(given.notes) == (quote.strip() != price)


def test_prices_as_numbers_stay() -> None:
    table = pa.table({"date": ["2025-03-13"], "contract": ["ZNM5"], "price": [110.5]})
    assert read_source(table, name="settlements").table["price"].to_pylist() == [110.5]
