"""Progress on the terminal for what takes over a second. Needs the extra `cli`."""

from __future__ import annotations

import threading
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

PATIENCE = 1.0
"""Seconds before anything is shown."""


class DelayedProgress:
    """A progress bar that appears after a second, and never if output is piped.

    Call it with a stage and how much of it is done, 0 to 1.

    Parameters
    ----------
    console
        The console of standard error.
    patience
        Seconds before it appears.
    """

    def __init__(self, console: Console, *, patience: float = PATIENCE) -> None:
        self._shown = console.is_terminal
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("reading", total=1.0)
        self._timer = threading.Timer(patience, self._bar.start)
        self._timer.daemon = True

    def __call__(self, stage: str, done: float) -> None:
        """Show what is under way, and how much of it is done."""
        self._bar.update(self._task, description=stage, completed=done)

    def __enter__(self) -> DelayedProgress:
        if self._shown:
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._timer.cancel()
            self._timer.join()
            self._bar.stop()
