"""Compressed files: gzip, and zip archives of one file."""

from __future__ import annotations

import gzip
import io
import zipfile

from crossmargin.exceptions import InputError
from crossmargin.io import limits

GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"

_PIECE = 1 << 20
_ENCRYPTED = 1
"""The bit in a member's flags that marks encryption."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unpacked(data: bytes, label: str) -> bytes:
    """Return a file's bytes, decompressed if it is gzip or zip.

    Parameters
    ----------
    data : bytes
        The file.
    label : str
        Its name in messages.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        It is too large once unpacked, or a zip archive does not hold exactly one file.
    """
    if data.startswith(GZIP):
        return _gunzip(data, label)
    if data.startswith(ZIP):
        with opened_zip(data, label) as archive:
            return archive.read(_only_file(archive, label))
    return data


def opened_zip(data: bytes, label: str) -> zipfile.ZipFile:
    """Return an open zip archive; refuse one that is too large once unpacked."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    members = archive.infolist()
    if not all(member.filename for member in members):
        raise InputError(f"{label}: the zip archive has a file without a name; make it again")
    # A member cannot be read beyond the size stated in the directory.
    limits.check_size(sum(member.file_size for member in members), len(data), label)
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise InputError(f"{label}: the zip archive is encrypted; save it without a password")
    if any(member.compress_type not in _METHODS for member in members):
        raise InputError(f"{label}: the zip archive uses an unusual compression; unpack it")
    return archive


def _only_file(archive: zipfile.ZipFile, label: str) -> zipfile.ZipInfo:
    """Return the one file of an archive, ignoring the entries that macOS adds."""
    files = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]
    if len(files) == 1:
        return files[0]
    names = ", ".join(file.filename for file in files[:5]) or "none"
    more = ", ..." if len(files) > 5 else ""
    raise InputError(f"{label}: a zip archive of {len(files)} files ({names}{more}); give one file")


def _gunzip(data: bytes, label: str) -> bytes:
    """Decompress piece by piece, so that too large a file is refused before it fills memory."""
    pieces, size = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        while piece := stream.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            limits.check_size(size, len(data), label)
    return b"".join(pieces)
