"""Read a feed of records in XML (Atom with OData properties), as the Treasury publishes rates."""

from __future__ import annotations

import pyarrow as pa

from crossmargin import columns
from crossmargin.exceptions import InputError
from crossmargin.io.markup import parse_xml, pieces_of

MAX_BYTES = 64 << 20
MAX_RECORDS = 100_000
MAX_NAMES = 100
LONGEST_CELL = 1000
_RECORD = "properties"


def looks_like_xml(data: bytes) -> bool:
    """Tell whether a file begins like XML or HTML."""
    return data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def read_xml_feed(data: bytes, label: str) -> pa.Table:
    """Return the records of a feed: a text column for each property, named without its prefix.

    Parameters
    ----------
    data : bytes
        The file.
    label : str
        Its name in messages.

    Raises
    ------
    InputError
        It is not a feed, has a document type, or is too large or too deep.
    """
    pieces = pieces_of(data, label, MAX_BYTES)
    feed = _Feed(label)
    parse_xml(pieces, label, start=feed.start, end=feed.end, text=feed.text)
    if not feed.records:
        raise InputError(
            f"{label}: this is XML without records (`m:properties`); give the Treasury's feed of "
            "daily par yields, or a CSV"
        )
    names = list(dict.fromkeys(name for record in feed.records for name in record))
    if len(names) > MAX_NAMES:
        raise InputError(
            f"{label}: records have more than {MAX_NAMES} different properties; give another file"
        )
    return pa.table(
        {name: columns.text_column([r.get(name) for r in feed.records]) for name in names}
    )


class _Feed:
    """Receives the parser's events; keeps the records."""

    def __init__(self, label: str) -> None:
        self.records: list[dict[str, str]] = []
        self._label = label
        self._path: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if self._path[-1] == _RECORD:
            if len(self.records) == MAX_RECORDS:
                raise InputError(f"{self._label}: more than {MAX_RECORDS:,} records; split it")
            self.records.append({})
        elif self._path[-2:-1] == [_RECORD]:
            record = self.records[-1]
            if self._path[-1] in record or len(record) == MAX_NAMES:
                raise InputError(
                    f"{self._label}, record {len(self.records)}: `{self._path[-1][:60]}` appears "
                    f"twice, or is one of more than {MAX_NAMES} properties"
                )
            record[self._path[-1]] = ""

    def end(self, name: str) -> None:
        self._path.pop()

    def text(self, text: str) -> None:
        if self._path[-2:-1] == [_RECORD]:
            record, name = self.records[-1], self._path[-1]
            if len(record[name]) + len(text) > LONGEST_CELL:
                raise InputError(
                    f"{self._label}, record {len(self.records)}: `{name[:60]}` is longer than "
                    f"{LONGEST_CELL:,} characters"
                )
            record[name] += text
