"""The market: curve, history, scenarios, calendars. It depends on no other part of the engine."""

from crossmargin.market.market import Market

__all__ = ["Market"]
