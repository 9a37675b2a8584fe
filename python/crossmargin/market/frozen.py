"""Read-only arrays, so that results computed from them stay true."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import numpy as np
import numpy.typing as npt


class Frozen:
    """A frozen dataclass that copies its arrays and keeps them read-only, also when unpickled."""

    def __post_init__(self) -> None:
        """Replace the arrays by read-only copies."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, field.name, read_only(value))

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        """Copy and unpickle through the constructor, which freezes the arrays."""
        given = (field for field in dataclasses.fields(self) if field.init)  # type: ignore[arg-type]
        return type(self), tuple(getattr(self, field.name) for field in given)


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only array that owns its memory; a copy unless it already is one."""
    if array.flags.writeable or not array.flags.owndata:
        array = array.copy()
        array.setflags(write=False)
    return array
