"""What a book could be margined at if positions or offsets were arranged differently."""

from crossmargin.optimise.credits import OptimalCredits, optimal_credits

__all__ = ["OptimalCredits", "optimal_credits"]
