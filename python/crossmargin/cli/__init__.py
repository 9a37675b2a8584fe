"""The command `crossmargin`. Needs the extra `cli` (typer, rich)."""

from __future__ import annotations

import sys

try:
    from crossmargin.cli.app import command, main
    from crossmargin.cli.exits import INTERNAL, REJECTED, STOPS, UNUSABLE
except ModuleNotFoundError as error:
    lacking = (error.name or "").partition(".")[0]
    if lacking not in ("typer", "rich"):
        raise
    sys.stderr.write(
        f"crossmargin: the command needs {lacking}; install it with "
        "`pip install 'crossmargin[cli]'`\n"
    )
    raise SystemExit(2) from None

__all__ = ["INTERNAL", "REJECTED", "STOPS", "UNUSABLE", "command", "main"]
