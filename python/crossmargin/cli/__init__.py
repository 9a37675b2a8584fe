"""The command `crossmargin`. Needs the extra `cli` (typer, rich)."""

from crossmargin.cli.exits import INTERNAL, REJECTED, STOPS, UNUSABLE
from crossmargin.cli.main import command, main

__all__ = ["INTERNAL", "REJECTED", "STOPS", "UNUSABLE", "command", "main"]
