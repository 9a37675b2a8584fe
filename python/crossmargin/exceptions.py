"""Bad input: a file that cannot be used, and rows that are set aside and listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns

Severity = Literal["rejected", "reassigned", "unpriced", "note"]
SEVERITIES: tuple[Severity, ...] = ("rejected", "reassigned", "unpriced", "note")

Texts: TypeAlias = str | Sequence[str | None] | npt.NDArray[Any] | pa.Array | pa.ChunkedArray | None
Rows: TypeAlias = int | Sequence[int] | npt.NDArray[np.int64] | pa.Array | pa.ChunkedArray | None


class InputError(ValueError):
    """An input that cannot be used at all; the message names the place and what to do."""


class InputWarning(UserWarning):
    """An input was used, but it is probably not the one that was meant."""


@dataclass(frozen=True)
class Code:
    """What happens to a row with this code, and what the code means."""

    severity: Severity
    meaning: str


CODES: dict[str, Code] = {
    "ACCOUNT_UNKNOWN": Code("rejected", "the account is not in the accounts table"),
    "ACCOUNT_INVALID": Code("rejected", "a cell of the account's row cannot be read"),
    "ACCOUNT_DUPLICATE": Code("rejected", "the account has more than one row"),
    "INSTRUMENT_UNKNOWN": Code("rejected", "the CUSIP is not in the securities table"),
    "CONTRACT_UNKNOWN": Code("rejected", "no contract is known by this name"),
    "CONTRACT_EXPIRED": Code("rejected", "the contract's last day is past"),
    "CCP_UNKNOWN": Code(
        "rejected", "the policy does not have the clearing house, or it clears no such position"
    ),
    "KIND_UNKNOWN": Code("rejected", "the kind of position is unknown"),
    "QUANTITY_INVALID": Code(
        "rejected", "the quantity is not a finite number, or its sign is wrong"
    ),
    "QUANTITY_NOT_WHOLE_LOT": Code("rejected", "the quantity is not a whole number of lots"),
    "DATE_INVALID": Code("rejected", "a date is impossible, missing, or in the wrong order"),
    "XM_UNREADABLE": Code("rejected", "xm is neither true nor false"),
    "VALUE_INVALID": Code("rejected", "another cell cannot be read"),
    "SETTLED": Code(
        "rejected", "the trade is settled and leaves no position at the clearing house"
    ),
    "OMNIBUS_INVALID": Code(
        "rejected", "the omnibus account that is named cannot take the account's positions"
    ),
    "ACCOUNT_IN_OMNIBUS": Code(
        "rejected", "the account's trades at FICC change its omnibus account: ask that"
    ),
    "SECURITY_INVALID": Code("rejected", "a cell of the security's row cannot be read"),
    "SECURITY_DUPLICATE": Code("rejected", "the security has more than one row"),
    "SECURITY_MATURED": Code("rejected", "the security has matured"),
    "MOVE_IMPOSSIBLE": Code(
        "rejected", "more is moved than is held, or what may not be cross-margined"
    ),
    "QUESTION_INCOMPLETE": Code("rejected", "another row of the question is rejected"),
    "FIRM_INVALID": Code("rejected", "a cell of the firm's row cannot be read"),
    "ARRIVAL_UNREADABLE": Code("rejected", "an arrived file cannot be read"),
    "ARRIVAL_UNKNOWN": Code(
        "rejected", "neither the content nor the name of an arrived file says what it is"
    ),
    "ARRIVAL_CONTRADICTS": Code(
        "rejected", "the content of an arrived file contradicts its name or itself"
    ),
    "ARRIVAL_OTHER_DAY": Code("rejected", "an arrived file is of another day"),
    "ARRIVAL_AMBIGUOUS": Code(
        "rejected", "a file of other content has arrived for the same run of a cycle"
    ),
    "ARRIVAL_OLD": Code("rejected", "a file arrived for a cycle before one that was played"),
    "CYCLE_MISSED": Code(
        "rejected", "a file is for a cycle that lacked another when a later cycle was played"
    ),
    "SECURITY_INELIGIBLE": Code("reassigned", "the security may not be cross-margined"),
    "CONTRACT_INELIGIBLE": Code("reassigned", "the contract may not be cross-margined"),
    "FIRM_NOT_COMMON_MEMBER": Code("reassigned", "the firm is not a member of both FICC and CME"),
    "NOT_OPTED_IN": Code("reassigned", "the customer has not opted in"),
    "ROLE_NOT_ELIGIBLE": Code("reassigned", "the account's role at FICC is not eligible"),
    "IN_OMNIBUS": Code(
        "reassigned", "the account's positions at FICC are margined in an omnibus account"
    ),
    "OTHER_FIRM": Code("reassigned", "the position is at another firm and is margined separately"),
    "NO_MODEL": Code("unpriced", "no model covers the instrument"),
    "NO_PRICE": Code("unpriced", "a floor or haircut needs its price, which is missing"),
    "NO_BASKET": Code("unpriced", "no security in the table is deliverable into the contract"),
    "NO_SCAN_RANGE": Code("unpriced", "its scan range is not given and cannot be calibrated"),
    "NOT_IN_CUBE": Code("unpriced", "the instrument is not in the P&L cube given"),
    "MATURITY_NEAR": Code("note", "has a year or less to maturity within ten business days"),
    "REPO_ENDS": Code("note", "the repo ends within ten business days"),
    "DELIVERY_MONTH": Code("note", "the contract's delivery month begins within ten business days"),
    "CURVE_EARLIER": Code(
        "note", "a curve has no rates for the as-of date; an earlier day is used"
    ),
    "FIXINGS_MISSING": Code("note", "fixings of past days are missing; the curve's rate is used"),
    "STRESS_CUT": Code("note", "the history begins later than a stress period"),
    "MARGIN_PROXY": Code(
        "note", "FICC's margin is its margin proxy: returns of benchmarks by bucket"
    ),
    "BASIS_ASSUMED": Code(
        "note", "no basis is given for a future: the policy's assumed one is used"
    ),
    "SPREADS_FEW": Code("note", "a group's observed spread does not move in most scenarios"),
    "BASKET_THIN": Code(
        "note", "issues that should be deliverable are not in the securities table"
    ),
    "BASKET_MIXED": Code("note", "some deliverable securities have a market price, others not"),
    "BASKET_OUTLIER": Code(
        "note", "a deliverable security's z-spread is far from those of the others"
    ),
    "BASKET_EARLY": Code("note", "most of what will be deliverable is still to be issued"),
    "CHEAPEST_CLOSE": Code("note", "the next security is nearly as cheap to deliver"),
    "CHEAPEST_SHARED": Code("note", "contracts of two roots have the same cheapest security"),
    "INPUT_NOT_USED": Code("note", "an input was given that the policy does not use"),
    "OBSERVED_STALE": Code("note", "an observed margin is more than a year old"),
    "OBSERVED_NOT_USED": Code(
        "note", "no observed margin to scale CME's model to, or one it is not scaled to"
    ),
    "TYPE_ASSUMED": Code("note", "the type is blank: taken as a nominal bill, note or bond"),
    "START_CASH_ASSUMED": Code("note", "start cash is blank: the model's dirty value is used"),
    "ROWS_REPEATED": Code("note", "rows equal an earlier one in every column; all are counted"),
    "FILE_REPEATED": Code(
        "note", "every row appears more than once, as if the file had been given twice"
    ),
    "INPUT_REPEATED": Code("note", "two inputs are the same file or table"),
    "ABOVE_OUTSTANDING": Code("note", "more than the amount outstanding or the open interest"),
    "ARRIVAL_REPEATED": Code("note", "a file has arrived that has the content of another one"),
    "CYCLE_NOT_PLAYED": Code(
        "note", "nothing arrived for a cycle that books transfers before a later one was played"
    ),
    "ARRIVAL_NOT_PLAYED": Code(
        "note", "a file is a report of the exchange that a day is not played from"
    ),
    "TRANSFER_NOT_BOOKED": Code(
        "note", "the futures of a later cycle do not have a transfer that was booked"
    ),
    "STEP_CHANGED": Code("note", "a file of a step is not as the ledger recorded it"),
    "POSITIONS_OF_OTHER_DAY": Code(
        "note", "a report of positions is of another business date than the run"
    ),
    "READ_AS": Code("note", "how an unusual file was read"),
    "NAME_RESOLVED": Code("note", "an instrument's name was written in another way"),
    "RATE_SUSPICIOUS": Code("note", "a rate looks like a decimal; percent is expected"),
    "COLUMNS_NOT_READ": Code("note", "columns of a report that have no meaning here"),
    "COLUMN_NAME_NEAR": Code("note", "an unknown column has a name close to a known one"),
}
"""Every code a row of the exceptions table can have."""

SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("account", pa.string()),
        ("instrument", pa.string()),
        ("severity", pa.string()),
        ("code", pa.string()),
        ("message", pa.string()),
    ]
)


@dataclass(frozen=True)
class FileRows:
    """The rows of one file of an input that was given in several.

    Attributes
    ----------
    input : str
        The input.
    file : str
        The file, as exceptions call it.
    before : int
        Rows of the files before it: the rows of the whole input are numbered through them all.
    """

    input: str
    file: str
    before: int


class ExceptionLog:
    """Collects exceptions by column; it never stops a run.

    Parameters
    ----------
    files : sequence of FileRows, optional
        The files of inputs that were given in several, in their order. What is added of a row of
        such an input is logged under its own file and row.

    Attributes
    ----------
    files : tuple of FileRows
    """

    def __init__(self, files: Sequence[FileRows] = ()) -> None:
        self._parts: list[pa.Table] = []
        self.files = tuple(files)

    def add(
        self,
        code: str,
        *,
        file: str,
        row: Rows = None,
        account: Texts = None,
        instrument: Texts = None,
        message: Texts,
    ) -> None:
        """Add one exception, or as many as the arrays given are long.

        Parameters
        ----------
        code
            A key of `CODES`.
        file
            The input that holds the rows, as the user knows it.
        row, account, instrument, message
            Scalars, or arrays of one length. `row` counts data rows from 1; None if the exception
            is about the whole file.

        Raises
        ------
        KeyError
            If the code is not in `CODES`.
        ValueError
            If the arrays differ in length.
        """
        severity = CODES[code].severity
        given = {"row": row, "account": account, "instrument": instrument, "message": message}
        lengths = {name: len(v) for name, v in given.items() if _is_array(v)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"exceptions {code}: arrays differ in length: {lengths}")
        size = next(iter(lengths.values()), 1)
        if size == 0:
            return
        own = self._own_rows(file, _column(row, pa.int64(), size))
        cells = {**given, **own, "severity": severity, "code": code}
        self._parts.append(
            pa.table(
                [_column(cells[field.name], field.type, size) for field in SCHEMA],
                schema=SCHEMA,
            )
        )

    def place(self, file: str, row: int) -> str:
        """Return the file and the number of a row of an input, for messages."""
        last = None
        for one in self.files:
            if one.input == file and one.before < row:
                last = one
        return f"{file}, row {row}" if last is None else f"{last.file}, row {row - last.before}"

    def _own_rows(self, file: str, row: pa.Array) -> dict[str, Any]:
        """Return the file of each row of an input, and its number in it."""
        files = [one for one in self.files if one.input == file]
        if not files or row.null_count:
            return {"file": file, "row": row}
        number = columns.integers(row)
        before = np.array([one.before for one in files])
        at = np.searchsorted(before, number, side="left") - 1
        return {"file": columns.chosen([one.file for one in files], at), "row": number - before[at]}

    def extend(self, exceptions: pa.Table) -> None:
        """Add exceptions from the table of another log."""
        if len(exceptions):
            self._parts.append(exceptions)

    def table(self) -> pa.Table:
        """Return all exceptions by file and row; those of one row in the order they were added."""
        if not self._parts:
            return pa.Table.from_batches([], SCHEMA)  # `empty_table` would import pandas.
        table = pa.concat_tables(self._parts)
        file, _ = columns.ranked(table["file"])
        order = columns.column(np.lexsort((columns.integers(table["row"]), file)))
        cells = [columns.one_array(column).take(order) for column in table.columns]
        return pa.table(cells, schema=SCHEMA)


def counts(exceptions: pa.Table) -> dict[str, int]:
    """Return the number of exceptions of each code in a table, in the order of `CODES`."""
    number, code = columns.encoded(exceptions["code"])
    counted = dict(zip(code.to_pylist(), np.bincount(number).tolist(), strict=True))
    return {code: counted[code] for code in CODES if code in counted}


def _is_array(value: object) -> TypeGuard[Sequence[Any]]:
    return value is not None and not isinstance(value, str | int | np.integer)


def _column(value: Any, kind: pa.DataType, size: int) -> pa.Array:
    """Return a scalar or an array as an Arrow array of the type and length asked for."""
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return columns.one_array(value).cast(kind)
    if value is None:
        return pa.nulls(size, kind)
    if not _is_array(value):
        return pa.repeat(columns.scalar(value), size)
    if kind == pa.string():
        return columns.text_column(value)
    return columns.column(np.asarray(value, np.int64))
