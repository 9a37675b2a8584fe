"""Read Parquet as a table; its unpacked size is checked before anything is decoded."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from crossmargin.io import limits
from crossmargin.io.headers import refuse_repeated
from crossmargin.io.pages import column_chunks, unpacked_size

MAGIC = b"PAR1"
NOT_DECODED = pa.struct([])
"""Replaces types that no input uses; a column of it takes no memory."""
_INDEX = 4
"""Bytes of an index in each row, for texts and other values held in memory once."""


def read_parquet(data: bytes, label: str) -> pa.Table:
    """Return the table in a Parquet file.

    A short file can unpack to very much, because it stores repeated values once. So texts are read
    as dictionaries. Columns of types that no input has, such as lists, are not decoded: they are
    null, with a type that is refused if the column is needed.

    Parameters
    ----------
    data : bytes
        The file.
    label : str
        Its name in messages.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    InputError
        It is too large once unpacked.
    """
    buffer = pa.BufferReader(data)
    fields = pq.ParquetFile(buffer).schema_arrow
    refuse_repeated(fields.names, label)
    texts = [field.name for field in fields if is_text(field.type)]
    file = pq.ParquetFile(buffer, read_dictionary=texts)
    names = [field.name for field in file.schema_arrow if _width(field.type) is not None]
    _check_size(file, names, data, label)
    parts, size = [], 0
    for number in _groups(file.metadata):
        parts.append(file.read_row_group(number, columns=names).select(names))
        size += parts[-1].nbytes
        limits.check_size(size, len(data), label)
    table = pa.concat_tables(parts or [file.schema_arrow.empty_table().select(names)])
    table.validate(full=True)  # texts that are not UTF-8, indices out of range
    missing = pa.nulls(len(table) if names else file.metadata.num_rows, NOT_DECODED)
    decoded = set(names)
    return pa.table(
        [table[name] if name in decoded else missing for name in fields.names], names=fields.names
    )


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a column holds texts, in any layout."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _check_size(file: pq.ParquetFile, names: list[str], data: bytes, label: str) -> None:
    """Refuse a file whose columns of these names would take too much memory."""
    metadata = file.metadata
    groups = _groups(metadata)
    rows = max(metadata.num_rows, sum(group.num_rows for group in groups.values()))
    limits.check_shape(rows, metadata.num_columns, label)
    size = rows * sum(_width(field.type) or 0 for field in file.schema_arrow)
    limits.check_size(size, len(data), label)
    wanted = set(names)
    for chunk in column_chunks(data):
        if chunk.path in wanted:
            size += unpacked_size(data, chunk)
            limits.check_size(size, len(data), label)


def _groups(metadata: pq.FileMetaData) -> dict[int, pq.RowGroupMetaData]:
    """Return the row groups that have rows, by index; others have no pages."""
    groups = {number: metadata.row_group(number) for number in range(metadata.num_row_groups)}
    return {number: group for number, group in groups.items() if group.num_rows}


def _width(kind: pa.DataType) -> int | None:
    """Return the bytes of a value; None for types that no input has."""
    if is_text(kind) or pa.types.is_dictionary(kind):
        return _INDEX
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return 1
    usual = (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_date(kind)
        or pa.types.is_timestamp(kind)
    )
    return kind.bit_width // 8 if usual else None
