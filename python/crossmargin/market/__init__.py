"""The market: curves, history, scenarios and calendars. It depends on no other package."""

from crossmargin.market.market import Market

__all__ = ["Market"]
