"""Runs looked at from outside: compared, revalued, seen as exposures."""
