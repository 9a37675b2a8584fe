"""The books and cubes of `compare.py`: head writes them, so that both revisions read the same."""

from __future__ import annotations

from pathlib import Path

import generator
import numpy as np
from universe import HEADLINE, WIDE, real

from crossmargin.conventions import CME, FICC
from crossmargin.engine import Book

LINES, WIDE_LINES = 40, 2_000
"""Lines of an account, on average."""
ACCOUNTS_PER_WIDE = 50


def write(folder: Path, accounts: int) -> None:
    """Write books of tails with so many accounts, or a 50th of them if wide, and their cubes."""
    tier = generator.Tier("compare", accounts, LINES)
    wide = generator.Tier("wide", max(accounts // ACCOUNTS_PER_WIDE, 1), WIDE_LINES, WIDE)
    _write_book(folder / "pass", generator.make_book(tier))
    _write_book(folder / "run", generator.make_book(tier, segments=4))
    _write_book(folder / "wide", generator.make_book(wide))
    headline = real(HEADLINE)
    for name, cube in headline.cubes.items():
        np.save(folder / f"real_{name}.npy", cube.pnl)
    for model, ccp in enumerate((FICC, CME)):
        np.save(folder / f"noise_{ccp}.npy", generator.noise_pnl(model, headline.instruments))
        np.save(folder / f"wide_{ccp}.npy", real(WIDE).cubes[ccp].pnl)


def _write_book(path: Path, book: Book) -> None:
    """Write the arrays of a book."""
    np.savez(path, pointer=book.row_ptr, column=book.column, quantity=book.quantity)
