"""Read the position reports of a FIXML document (FIX 5.0 SP2) as a table, a row for each report.

Names of elements and attributes are those of the FIXML schema: a `PosRpt` has the parties `Pty`
(`R` is the role), the instrument `Instrmt`, and quantities `Qty` by type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa

from crossmargin import columns
from crossmargin.exceptions import InputError
from crossmargin.io.markup import parse_xml, pieces_of

MAX_BYTES = 256 << 20
MAX_REPORTS = 500_000
LONGEST_CELL = 1000
CUSTOMER, POSITION_ACCOUNT = "24", "38"
"""Roles of parties: the customer's account, and the account that holds the position."""
QUANTITIES = ("FIN", "TOT")
"""Types of quantities that are the position of the cycle; the first that a report has is read."""
OPENING = "SOD"
"""The position at the start of the day, read if no report has another."""
_ROOT = re.compile(rb"<(?:[\w.-]+:)?(?:FIXML|Batch|PosRpt)[\s/>]")
_PROLOG = re.compile(rb"\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*", re.DOTALL)
_PLAIN = {"ReqTyp": ("", "0", "7"), "Rslt": ("", "0"), "Actn": ("", "1")}
"""Values of a report that is a position: of all or net positions, valid, and new."""
_SECURITY = {"F": "FUT", "O": "OPT"}
"""Type of a security by the first letter of its `CFI`."""
_SIDES = ("Long", "Short")
_ACCOUNT = "account"
_COLUMNS = {
    "BusDate": "BizDt",
    "Cycle": "SetSesID",
    "Run": "SetSesSub",
    "Account": _ACCOUNT,
    "CC Code": "ID",
    "Ticker Symbol": "Sym",
    "Exchange": "Exch",
    "Security type": "SecTyp",
    "Put / Call": "PutCall",
    "Strike": "StrkPx",
    "Period Code": "MMY",
    "Currency": "Ccy",
    **{side: side for side in _SIDES},
}
"""The columns, as those of a report of positions as CSV, and what each is made of."""
_NEEDED = ("Account", "CC Code", "Period Code", *_SIDES)
_MOST_TYPES = 20
_ACCOUNTS = {
    f"Pty {CUSTOMER} ID": f"the customer's (`Pty` of role {CUSTOMER})",
    "Acct": "`Acct`",
    f"Pty {POSITION_ACCOUNT} ID": f"the one that holds the position (role {POSITION_ACCOUNT})",
}
"""Where the account is, the first that a report has, and what the note calls it."""
_KEPT: dict[str, dict[str, str]] = {
    "PosRpt": {n: n for n in ("BizDt", "SetSesID", "SetSesSub", "Acct", "Ccy", *_PLAIN)},
    "Instrmt": {
        n: n for n in ("ID", "Sym", "Exch", "SecTyp", "PutCall", "StrkPx", "MMY", "MatDt", "CFI")
    },
    **{f"Pty {role}": {"ID": f"Pty {role} ID"} for role in (CUSTOMER, POSITION_ACCOUNT)},
    **{f"Qty {t}": {side: f"{t} {side}" for side in _SIDES} for t in (*QUANTITIES, OPENING)},
}
"""The attributes kept of each element, of parties by role and of quantities by type."""


def is_fixml(data: bytes) -> bool:
    """Tell whether XML begins as FIXML does."""
    head = data[: 1 << 16].removeprefix(b"\xef\xbb\xbf")
    prolog = _PROLOG.match(head)
    return _ROOT.match(head, 0 if prolog is None else prolog.end()) is not None


def read_fixml(data: bytes, label: str) -> tuple[pa.Table, tuple[str, ...]]:
    """Return the position reports of a document, and notes on how they are read.

    Parameters
    ----------
    data : bytes
        The file.
    label : str
        Its name in messages.

    Returns
    -------
    table : pyarrow.Table
        Text columns, blank where a report says nothing.
    notes : tuple of str

    Raises
    ------
    InputError
        It has no position report, has a document type, or is too large or too deep.
    """
    pieces = pieces_of(data, label, MAX_BYTES)
    reports = _Reports(label)
    parse_xml(pieces, label, start=reports.start, end=reports.end, text=lambda text: None)
    if not reports.rows:
        raise InputError(
            f"{label}: this is FIXML without position reports (`PosRpt`); give a report of "
            "positions"
        )
    return reports.table()


class _Reports:
    """Receives the parser's events; keeps a row of texts for each report."""

    def __init__(self, label: str) -> None:
        self.rows: list[tuple[str, ...]] = []
        self._label = label
        self._path: list[str] = []
        self._report: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._opening: list[tuple[str, ...] | None] = []
        self._accounts: set[str] = set()
        self._types: set[str] = set()
        self._closes = False
        self._messages, self._stated = 0, ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        parent = self._path[-1] if self._path else ""
        self._path.append(name)
        if name == "Batch":
            self._report = {}
            self._keep({"TotMsg": "TotMsg"}, attributes)
            self._messages, self._stated = 0, self._report.get("TotMsg", "")
        elif parent == "Batch" and name != "Hdr":
            self._messages += 1
        if name == "PosRpt":
            if "PosRpt" in self._path[:-1]:
                raise InputError(f"{self._label}: a `PosRpt` is within another; give another file")
            if len(self.rows) == MAX_REPORTS:
                raise InputError(f"{self._label}: more than {MAX_REPORTS:,} reports; split it")
            self._report = {}
            self._keep(_KEPT["PosRpt"], attributes)
        elif parent == "PosRpt" and name == "Instrmt":
            self._keep(_KEPT["Instrmt"], attributes)
        elif parent == "PosRpt" and name == "Pty":
            self._keep(_KEPT.get(f"Pty {attributes.get('R', '')}", {}), attributes)
        elif parent == "PosRpt" and name == "Qty":
            kind = attributes.get("Typ", "").strip()
            if len(self._types) < _MOST_TYPES:
                self._types.add(kind[:20])
            self._keep(_KEPT.get(f"Qty {kind}", {}), attributes)

    def end(self, name: str) -> None:
        self._path.pop()
        if name == "PosRpt":
            self._finish()
        elif name == "Batch" and self._stated and self._stated != str(self._messages):
            raise InputError(
                f"{self._label}: the batch has {self._messages:,} messages and says it has "
                f"{self._stated[:20]} (`TotMsg`); give the whole file"
            )

    def _keep(self, keys: Mapping[str, str], attributes: dict[str, str]) -> None:
        """Keep attributes of the current report under these keys; each may have one value in it."""
        report = self._report
        for name, value in attributes.items():
            key = keys.get(name)
            if key is None:
                continue
            text = value.strip()
            if len(text) > LONGEST_CELL:
                raise InputError(
                    f"{self._label}, report {len(self.rows) + 1}: `{name}` is longer than "
                    f"{LONGEST_CELL:,} characters"
                )
            if report.setdefault(key, text) != text:
                raise InputError(
                    f"{self._label}, report {len(self.rows) + 1}: `{key}` is {report[key][:40]!r} "
                    f"and {text[:40]!r}; keep one"
                )

    def _finish(self) -> None:
        """Add the current report as a row."""
        report = self._report
        for name, plain in _PLAIN.items():
            if name in report and report[name] not in plain:
                report["SecTyp"] = f"{name} {report[name]}"
        if not report.get("SecTyp") and (kind := report.get("CFI")):
            report["SecTyp"] = _SECURITY.get(kind[0], kind)
        if not report.get("MMY") and "MatDt" in report:
            report["MMY"] = report["MatDt"]
        for key in _ACCOUNTS:
            if report.get(key):
                self._accounts.add(key)
                report[_ACCOUNT] = report[key]
                break
        for kind in QUANTITIES:
            sides = [report.get(f"{kind} {side}") for side in _SIDES]
            if sides != [None, None]:
                report |= {side: text or "" for side, text in zip(_SIDES, sides, strict=True)}
                self._closes = True
                break
        self.rows.append(tuple([self._same(report.get(key, "")) for key in _COLUMNS.values()]))
        opening = tuple(self._same(report.get(f"{OPENING} {side}", "")) for side in _SIDES)
        self._opening.append(opening if any(opening) else None)

    def _same(self, text: str) -> str:
        """Return one object for all equal texts."""
        return self._texts.setdefault(text, text)

    def table(self) -> tuple[pa.Table, tuple[str, ...]]:
        """Return the reports in the columns of a report of positions as CSV, and a note."""
        cells = dict(zip(_COLUMNS, zip(*self.rows, strict=True), strict=True))
        read: tuple[str, ...] = tuple(kind for kind in QUANTITIES if kind in self._types)
        if not self._closes:
            read = (OPENING,)
            sides = zip(*(one or ("", "") for one in self._opening), strict=True)
            cells |= dict(zip(_SIDES, sides, strict=True))
        accounts = ", else ".join(what for key, what in _ACCOUNTS.items() if key in self._accounts)
        note = (
            f"FIXML with {len(self.rows):,} position reports: their account is "
            f"{accounts or 'not given'}, their quantity of type {', else '.join(read)}"
        )
        if unread := sorted(kind or "none" for kind in self._types.difference(read)):
            note += f" (not read: {', '.join(unread)})"
        table = {
            name: columns.text_column(texts)
            for name, texts in cells.items()
            if name in _NEEDED or any(texts)
        }
        return pa.table(table), (note,)
