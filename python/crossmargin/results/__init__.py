"""Results: typed tables that go out as Arrow, pandas or polars."""
