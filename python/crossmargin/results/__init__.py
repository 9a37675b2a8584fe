"""Results: typed tables that convert to Arrow, pandas or polars."""
