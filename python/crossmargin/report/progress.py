"""Progress on the terminal for what takes over a second. Needs the extra `cli`."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress

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
        self._bar = _bar(console) if console.is_terminal else None
        if self._bar is not None:
            self._task = self._bar.add_task("reading", total=1.0)
            self._timer = threading.Timer(patience, self._bar.start)
            self._timer.daemon = True

    def __call__(self, stage: str, done: float) -> None:
        """Show what is under way, and how much of it is done."""
        if self._bar is not None:
            self._bar.update(self._task, description=stage, completed=done)

    def __enter__(self) -> DelayedProgress:
        if self._bar is not None:
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._timer.cancel()
            self._timer.join()
            self._bar.stop()


def _bar(console: Console) -> Progress:
    """Return a bar that is not yet shown."""
    # Where output is piped, nothing needs it.
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
