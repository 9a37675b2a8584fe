"""`crossmargin whatif`: what trades and moves would change in an account of a finished run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from crossmargin.cli.exits import exit_code
from crossmargin.cli.finished import RESULTS, ResultsDir, finished_run
from crossmargin.cli.options import Threads
from crossmargin.cli.output import print_line, show
from crossmargin.exceptions import InputError, counts
from crossmargin.io.results import write_table
from crossmargin.margin.model import AmountError
from crossmargin.report.whatif import (
    print_answers,
    print_impact,
    print_impact_table,
    print_to_cap,
)
from crossmargin.whatif.files import answer_questions
from crossmargin.whatif.quantities import read_trade
from crossmargin.whatif.session import Session

AccountName = Annotated[
    str | None, typer.Argument(metavar="ACCOUNT", help="An account of the run.")
]
TradeTexts = Annotated[
    list[str] | None,
    typer.Option(
        metavar='"INSTRUMENT QUANTITY"',
        help='A trade, such as "ZNM25 -500" or "91282CMB4 100mm"; may be given several times. '
        "Units: k, mm, b or bn.",
        show_default=False,
    ),
]
MoveTexts = Annotated[
    list[str] | None,
    typer.Option(
        metavar='"INSTRUMENT QUANTITY"',
        help="What goes from the ordinary into the cross-margin account, with the sign of the "
        "position; the opposite sign moves it out. May be given several times.",
        show_default=False,
    ),
]
Ordinary = Annotated[
    bool, typer.Option("--ordinary", help="Book the trades in the ordinary account.")
]
New = Annotated[
    bool,
    typer.Option("--new", help="ACCOUNT is hypothetical: an eligible one that holds nothing."),
]
TableWanted = Annotated[
    bool,
    typer.Option("--table", help="Show the impact of a round trade of each tenor and future."),
]
ToCapOf = Annotated[
    str | None,
    typer.Option(
        metavar="FUTURE",
        help="Show how many of these contracts bring the offset rate to its cap.",
        show_default=False,
    ),
]
Moving = Annotated[
    bool,
    typer.Option(
        "--moving", help="With --to-cap: move what the ordinary account holds, do not trade."
    ),
]
QuestionsFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Questions: account, instrument, quantity; optional question, move, xm.",
        show_default=False,
    ),
]
AnswersFile = Annotated[
    Path | None,
    typer.Option(help="Write the answers to this file, .csv or .parquet.", show_default=False),
]


def whatif(
    account: AccountName = None,
    results: ResultsDir = RESULTS,
    trade: TradeTexts = None,
    move: MoveTexts = None,
    ordinary: Ordinary = False,
    new: New = False,
    table: TableWanted = False,
    to_cap: ToCapOf = None,
    moving: Moving = False,
    file: QuestionsFile = None,
    out: AnswersFile = None,
    threads: Threads = None,
) -> int:
    """Show what trades and moves would change in an account: before, after, and the parts.

    An instrument need not be in the book: a security of the run's securities, or a listed
    contract. The figures are those of a full run with these positions.
    """
    _check_one_question(account, trade, move, table=table, to_cap=to_cap, file=file)
    if to_cap is not None and out is not None:
        raise InputError("--out goes with trades, moves, --table or --file, not with --to-cap")
    if new and file is not None:
        raise InputError("--new goes with ACCOUNT, not with --file")
    if ordinary and not trade:
        raise InputError("--ordinary goes with --trade")
    if moving and to_cap is None:
        raise InputError("--moving goes with --to-cap")
    trades, moves = (_quantities(texts) for texts in (trade, move))
    with _asking():
        session = Session(finished_run(results, threads), threads=threads)
        if file is not None:
            return _answer_file(session, file, out, threads)
        assert account is not None
        _find(session, account, new=new)
        written: pa.Table | None = None
        if to_cap is not None:
            found = session.to_cap(account, to_cap, move=moving)
            show(lambda console: print_to_cap(found, console))
        elif table:
            written = session.impact_table(account).to_arrow()
            _write(written, out)
            show(lambda console: print_impact_table(written, console))
        else:
            impact = session.impact(account, trades, moves=moves, xm=not ordinary)
            _write(impact.table.to_arrow(), out)
            title = f"Account {account}: {_asked(trades, moves, ordinary=ordinary)}"
            show(lambda console: print_impact(impact, title, console))
        if out is not None:
            print_line(f"File: {out}")
    return 0


def _answer_file(session: Session, file: Path, out: Path | None, threads: int | None) -> int:
    """Answer the questions of a file; return the exit code, 3 if rows were set aside."""
    answered = answer_questions(session, file, threads=threads)
    answers, exceptions = answered.answers.to_arrow(), answered.exceptions.to_arrow()
    _write(answers, out)
    show(lambda console: print_answers(answers, exceptions, console))
    if out is not None:
        print_line(f"File: {out}")
    return exit_code(counts(exceptions))


def _write(table: pa.Table, out: Path | None) -> None:
    if out is not None:
        write_table(table, out)


def _check_one_question(
    account: str | None,
    trade: Sequence[str] | None,
    move: Sequence[str] | None,
    *,
    table: bool,
    to_cap: str | None,
    file: Path | None,
) -> None:
    """Refuse options that do not make one question."""
    given = {
        "--trade or --move": bool(trade or move),
        "--table": table,
        "--to-cap": to_cap is not None,
        "--file": file is not None,
    }
    chosen = [name for name, is_given in given.items() if is_given]
    if len(chosen) != 1:
        told = f", not {' and '.join(chosen)}" if chosen else ""
        raise InputError(f"give one of {', '.join(given)}{told}")
    if (account is None) != (file is not None):
        raise InputError(
            "--file names its accounts itself: leave out ACCOUNT"
            if file is not None
            else "give the ACCOUNT of the question, or --file"
        )


def _find(session: Session, account: str, *, new: bool) -> None:
    """Add a hypothetical account, or refuse one that is not in the book."""
    known = account in session.accounts
    if new and known:
        raise InputError(f"account {account!r} is in the book: leave out --new")
    if new:
        session.add_account(account)
    elif not known:
        raise InputError(
            f"account {account!r} is not in the book; add --new if it is a hypothetical one"
        )


def _quantities(texts: Sequence[str] | None) -> dict[str, int]:
    """Return the quantities by instrument; those of the same name are added."""
    total: dict[str, int] = {}
    for text in texts or ():
        name, quantity = read_trade(text)
        total[name] = total.get(name, 0) + quantity
    return total


def _asked(trades: dict[str, int], moves: dict[str, int], *, ordinary: bool) -> str:
    """Return trades and moves in words, with where the trades are booked."""
    traded, moved = (
        ", ".join(f"{name} {size:,}" for name, size in asked.items()) for asked in (trades, moves)
    )
    place = "ordinary" if ordinary else "cross-margin"
    told = [f"{traded} booked in the {place} account"] if traded else []
    # The sign says the direction only beside what is held.
    told += [f"move {moved} between the ordinary and the cross-margin account"] if moved else []
    return "; ".join(told)


@contextmanager
def _asking() -> Iterator[None]:
    """Make an amount that no account can have an error of the input."""
    try:
        yield
    except AmountError as error:
        raise InputError(f"{error}; check the units of the quantities") from None
