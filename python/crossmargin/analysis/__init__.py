"""Analyses of finished runs: comparisons, revaluation, factor exposures."""
