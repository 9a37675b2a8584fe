"""Questions from a file: trades and moves by account, answered one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from crossmargin import columns
from crossmargin.book.schemas import QUESTIONS, Column, Schema
from crossmargin.book.trades import LOT
from crossmargin.engine import Execution
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.io.parse import ROW, parse
from crossmargin.io.sources import read_source
from crossmargin.io.tables import Given, Source
from crossmargin.margin.model import AmountError
from crossmargin.results.schemas.whatif import IMPACTS
from crossmargin.results.table import Table
from crossmargin.results.tables import exception_table
from crossmargin.whatif.impact import impacts_of
from crossmargin.whatif.parts import Leg
from crossmargin.whatif.scope import Scope
from crossmargin.whatif.session import Session

_FILE = QUESTIONS.name
_NAMES = Schema(QUESTIONS.name, (Column("question"),))


@dataclass(frozen=True)
class Answers:
    """The answers to the questions of a file.

    Attributes
    ----------
    answers : Table
        A row for each question and account; the columns are those of
        `crossmargin.results.schemas.whatif.IMPACTS`.
    exceptions : Table
        Rows that were set aside, and notes; the columns are those of a run's exceptions.
    """

    answers: Table
    exceptions: Table


def answer_questions(session: Session, questions: Source, *, threads: int | None = None) -> Answers:
    """Return what the trades and moves in a file change, question by question.

    Parameters
    ----------
    session : Session
    questions : path or table
        A CSV, Parquet or Excel file, or a table as for `crossmargin.run`; its columns are those of
        `crossmargin.book.schemas.QUESTIONS`.
    threads : int, optional
        Default: as many as the process may use.

    Returns
    -------
    Answers
        A question with a row that cannot be used is not answered; its rows are listed.

    Raises
    ------
    InputError
        The file cannot be read or has no rows, a question's name is the number of a row without
        one, or the run's inputs lack what a new instrument needs.

    Examples
    --------
    >>> answer_questions(session, "trades.csv").answers.to_pandas()  # doctest: +SKIP
    """
    log = ExceptionLog()
    given = read_source(questions, name=_FILE)
    for text in given.notes:
        log.add("READ_AS", file=_FILE, message=text)
    parsed = parse(given.table, QUESTIONS, file=_FILE, log=log, point=given.point)
    if parsed.rows_read == 0:
        raise InputError(f"{_FILE}: has no rows; give account, instrument and quantity")
    name = _names(given)
    rows = [_Row(**row) for row in parsed.table.to_pylist()]
    read = {row.row for row in rows}
    asked = _Asked(log, name)
    asked.refused |= {name[number] for number in name if number not in read}
    trouble = session.trouble_with({row.instrument for row in rows})
    scope = session.scope({r.instrument: 0 for r in rows if r.instrument not in trouble})
    for row in rows:
        asked.add(scope, row, trouble)
    asked.add_moves(scope)
    return asked.answers(scope, Execution(threads))


@dataclass(frozen=True)
class _Row:
    """A row that could be read."""

    row: int
    account: str
    instrument: str
    quantity: float
    question: str | None
    move: bool
    xm: bool


def _names(given: Given) -> dict[int, str]:
    """Return the question of each row of a file, of rejected ones too."""
    table = parse(given.table, _NAMES, file=_FILE, log=ExceptionLog(), point=given.point).table
    named = dict(zip(table[ROW].to_pylist(), table["question"].to_pylist(), strict=True))
    called = set(named.values())
    for row, question in named.items():
        if question is None and str(row) in called:
            raise InputError(
                f"{_FILE}: row {row} has no question, and another row's question is called {row}; "
                "give every row a question"
            )
    return {row: question or str(row) for row, question in named.items()}


class _Asked:
    """The questions of a file, with the legs of each account; bad rows are logged."""

    def __init__(self, log: ExceptionLog, name: dict[int, str]) -> None:
        self.refused: set[str] = set()
        self._log = log
        self._name = name
        self._rows: dict[str, list[_Row]] = {}
        self._legs: dict[tuple[str, int], list[Leg]] = {}
        self._moves: dict[tuple[str, int], list[_Row]] = {}

    def add(self, scope: Scope, row: _Row, trouble: dict[str, str]) -> None:
        """Add a row to its question, or log what is wrong with it."""
        question = self._name[row.row]
        if row.account not in scope.accounts:
            message = f"account {row.account} is not in the run"
            return self._refuse(question, row, "ACCOUNT_UNKNOWN", message)
        if row.instrument in trouble:
            # Names of contracts begin with a letter, CUSIPs with a digit.
            cusip = row.instrument[:1].isdigit()
            code = "INSTRUMENT_UNKNOWN" if cusip else "CONTRACT_UNKNOWN"
            return self._refuse(question, row, code, trouble[row.instrument])
        account = scope.accounts[row.account]
        number = scope.instrument(row.instrument)
        future = number is not None and scope.future[number]
        if account in scope.omnibus and not future:
            return self._refuse(question, row, "ACCOUNT_IN_OMNIBUS", scope.elsewhere(account))
        try:
            legs = scope.trade_legs(account, {row.instrument: row.quantity}, xm=row.xm)
        except ValueError as error:
            lot = 1 if future else LOT
            code = "QUANTITY_NOT_WHOLE_LOT" if row.quantity % lot else "QUANTITY_INVALID"
            return self._refuse(question, row, code, str(error))
        self._rows.setdefault(question, []).append(row)
        own = self._legs.setdefault((question, account), [])
        if row.move:
            self._moves.setdefault((question, account), []).append(row)
        else:
            own += legs
        return None

    def add_moves(self, scope: Scope) -> None:
        """Add the moves of each question and account, which are checked together."""
        for (question, account), rows in self._moves.items():
            total: dict[str, float] = {}
            for row in rows:
                total[row.instrument] = total.get(row.instrument, 0.0) + row.quantity
            try:
                self._legs[question, account] += scope.move_legs(account, total)
            except ValueError as error:
                for row in rows:
                    self._refuse(question, row, "MOVE_IMPOSSIBLE", str(error))

    def answers(self, scope: Scope, execution: Execution) -> Answers:
        """Return the answers to the questions without a bad row."""
        while True:
            kept = [key for key in self._legs if key[0] not in self.refused]
            try:
                table = _impacts(scope, kept, [self._legs[key] for key in kept], execution)
                break
            except AmountError as error:
                if error.group >= len(kept):
                    raise
                question = kept[error.group][0]
                for row in self._rows[question]:
                    message = f"{error}; check the units of the quantities"
                    self._refuse(question, row, "QUANTITY_INVALID", message)
        logged = set(columns.integers(self._log.table()[ROW]).tolist())
        for question in sorted(self.refused & self._rows.keys()):
            for row in self._rows[question]:
                if row.row not in logged:
                    message = f"another row of question {question} is rejected: it is not answered"
                    self._refuse(question, row, "QUESTION_INCOMPLETE", message)
        return Answers(Table(table), Table(exception_table(self._log.table())))

    def _refuse(self, question: str, row: _Row, code: str, message: str) -> None:
        self.refused.add(question)
        self._log.add(
            code,
            file=_FILE,
            row=row.row,
            account=row.account,
            instrument=row.instrument,
            message=message,
        )


def _impacts(
    scope: Scope,
    keys: Sequence[tuple[str, int]],
    legs: Sequence[list[Leg]],
    execution: Execution,
) -> pa.Table:
    """Return the answers; an empty table without questions."""
    if not keys:
        return pa.Table.from_batches([], IMPACTS.arrow)
    return impacts_of(scope, [name for name, _ in keys], [at for _, at in keys], legs, execution)
