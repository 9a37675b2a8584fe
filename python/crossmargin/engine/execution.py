"""How a calculation is carried out: threads, backend, progress. It never changes a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from crossmargin.engine.backends import resolve
from crossmargin.engine.executor import check_threads

Progress = Callable[[str, float], None]
"""Called with the name of a stage and the share of it that is done, 0 to 1."""


class KernelOptions(TypedDict):
    """The keyword arguments that every function of the engine takes."""

    threads: int | None
    backend: str


@dataclass(frozen=True)
class Execution:
    """How to carry out a calculation. The results are the same bits for every choice.

    Parameters
    ----------
    threads : int, optional
        Threads to use; all the process may use if not given.
    backend : {"auto", "native", "numba", "reference"}
        The implementation of the kernels; "auto" takes the fastest that can run here.
    progress : callable, optional
        Called with the name of a stage and the share of it that is done, 0 to 1.

    Raises
    ------
    ValueError
        `threads` is not a whole number of 1 or more, or there is no such backend.
    ImportError
        The backend cannot run here.
    TypeError
        `progress` is not callable.

    Examples
    --------
    >>> execution = Execution(threads=2)
    >>> execution.kernels
    {'threads': 2, 'backend': 'auto'}
    """

    threads: int | None = None
    backend: str = "auto"
    progress: Progress | None = None

    def __post_init__(self) -> None:
        check_threads(self.threads)
        resolve(self.backend)
        if self.progress is not None and not callable(self.progress):
            raise TypeError(
                f"progress: a function of stage and share expected, got {self.progress!r:.60}"
            )

    @property
    def kernels(self) -> KernelOptions:
        """The arguments of a function of the engine: ``tails(book, cube, **execution.kernels)``."""
        return {"threads": self.threads, "backend": self.backend}

    def tell(self, stage: str, done: float) -> None:
        """Report progress, if a function for it was given.

        Parameters
        ----------
        stage : str
            The name of the stage.
        done : float
            The share of it that is done, 0 to 1.
        """
        if self.progress is not None:
            self.progress(stage, done)


DEFAULT_EXECUTION = Execution()
"""All threads the process may use, the fastest kernels, no progress."""
