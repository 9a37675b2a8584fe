"""Read XML as a stream; refuse content that would take too much memory or time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from xml.parsers import expat

from crossmargin.exceptions import InputError

PIECE = 1 << 18
"""Bytes given to the parser at a time."""
LONGEST_TAG = 1 << 20
MAX_DEPTH = 32
MAX_ELEMENTS = 3_200_000
MAX_NAMES = 10_000
"""Most distinct names of elements, attributes and namespaces."""


def pieces_of(data: bytes, label: str, most: int) -> Iterator[bytes]:
    """Return XML in pieces for `parse_xml`; InputError if it has more bytes than `most`."""
    if len(data) > most:
        raise InputError(f"{label}: {len(data):,} bytes of XML, above the limit of {most:,}")
    return (data[at : at + PIECE] for at in range(0, len(data), PIECE))


def parse_xml(
    pieces: Iterable[bytes],
    label: str,
    *,
    start: Callable[[str, dict[str, str]], object],
    end: Callable[[str], object],
    text: Callable[[str], object],
) -> None:
    """Call functions for the elements and texts of an XML text.

    Nothing outside the text is read and no entity is expanded; a document type is refused.

    Parameters
    ----------
    pieces : iterable of bytes
        The text, in pieces of about `PIECE` bytes.
    label : str
        Its name in messages.
    start, end : callable
        Called with the name of an element, without prefix; `start` also with its attributes.
    text : callable
        Called with each run of characters.

    Raises
    ------
    InputError
        The text is not XML, has a document type, or exceeds a limit.
    """
    depth = count = size = 0

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth += 1
        count += 1
        if depth > MAX_DEPTH:
            raise InputError(
                f"{label}: the XML is nested more than {MAX_DEPTH} deep; give another file"
            )
        if count > MAX_ELEMENTS:
            raise InputError(f"{label}: more than {MAX_ELEMENTS:,} XML elements; split it")
        start(name.rpartition(" ")[2], attributes)

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name.rpartition(" ")[2])

    def refuse_document_type(*declared: object) -> None:
        raise InputError(
            f"{label}: the file has a document type (`<!DOCTYPE`), so it is a web page or XML that "
            "is not read; give the file itself as downloaded"
        )

    names: dict[str, str] = {}
    # The encoding that the file declares is ignored: it could be any name.
    parser = expat.ParserCreate("utf-8", " ", names)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse_document_type
    parser.StartNamespaceDeclHandler = lambda *declared: None  # so that `names` has them
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    parser.CharacterDataHandler = text
    try:
        for piece in pieces:
            parser.Parse(piece)
            size += len(piece)
            if size - parser.CurrentByteIndex > LONGEST_TAG or len(names) > MAX_NAMES:
                raise InputError(f"{label}: the XML has too long or too many tags; give another")
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise InputError(f"{label}: cannot be read as XML: {error}") from error
