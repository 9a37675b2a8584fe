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
"""A bit in the flags of a member."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unpacked(data: bytes, label: str) -> bytes:
    """Return a file decompressed, where it is gzip or zip; any other as it is.

    Parameters
    ----------
    data : bytes
        The file.
    label : str
        What messages call it.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        If it holds more than memory should, or if a zip archive has not one file in it.
    """
    if data.startswith(GZIP):
        return _gunzip(data, label)
    if data.startswith(ZIP):
        with opened_zip(data, label) as archive:
            return archive.read(_only_file(archive, label))
    return data


def opened_zip(data: bytes, label: str) -> zipfile.ZipFile:
    """Return an archive whose members are no larger together than memory should hold."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    members = archive.infolist()
    if not all(member.filename for member in members):
        raise InputError(f"{label}: the zip archive has a file without a name; make it again")
    # No member can be read beyond the size that the directory states.
    limits.check_size(sum(member.file_size for member in members), len(data), label)
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise InputError(f"{label}: the zip archive has a password; save it without one")
    if any(member.compress_type not in _METHODS for member in members):
        raise InputError(f"{label}: the zip archive is compressed in a rare way; unpack it")
    return archive


def _only_file(archive: zipfile.ZipFile, label: str) -> zipfile.ZipInfo:
    """Return the one file of an archive; what macOS adds beside it does not count."""
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
    """Decompress piece by piece, so that a bomb is refused before it fills the memory."""
    pieces, size = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        while piece := stream.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            limits.check_size(size, len(data), label)
    return b"".join(pieces)
