from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.book import schemas
from crossmargin.exceptions import CODES, SEVERITIES, ExceptionLog, counts


def test_every_code_has_a_known_severity_and_a_meaning() -> None:
    for code in CODES.values():
        assert code.severity in SEVERITIES
        assert code.meaning


def test_scalars_and_arrays_make_rows() -> None:
    log = ExceptionLog()
    log.add("NO_MODEL", file="positions", row=np.array([3, 1]), account=["a", None], message="m")
    log.add("REPO_ENDS", file="positions", row=np.int64(1), instrument="X", message="n")
    assert log.table().select(["row", "account", "instrument", "code"]).to_pylist() == [
        {"row": 1, "account": None, "instrument": None, "code": "NO_MODEL"},
        {"row": 1, "account": None, "instrument": "X", "code": "REPO_ENDS"},
        {"row": 3, "account": "a", "instrument": None, "code": "NO_MODEL"},
    ]


def test_rows_are_in_order_of_file_then_row_and_whole_files_come_first() -> None:
    log = ExceptionLog()
    log.add("SETTLED", file="positions", row=pa.array([9, 2]), message=pa.array(["x", "y"]))
    log.add("COLUMN_NAME_NEAR", file="positions", message="whole file")
    log.add("ACCOUNT_INVALID", file="accounts", row=5, message="z")
    assert log.table()["message"].to_pylist() == ["z", "whole file", "y", "x"]
    assert log.table()["severity"].to_pylist() == ["rejected", "note", "rejected", "rejected"]


def test_counts_follow_the_order_of_the_codes() -> None:
    log = ExceptionLog()
    log.add("NO_MODEL", file="f", row=[1, 2, 3], message="m")
    log.add("SETTLED", file="f", row=4, message="m")
    log.add("SETTLED", file="f", row=np.array([], dtype=np.int64), message="nothing")
    assert list(counts(log.table()).items()) == [("SETTLED", 1), ("NO_MODEL", 3)]


def test_an_empty_log_is_an_empty_table() -> None:
    table = ExceptionLog().table()
    assert len(table) == 0
    assert table.column_names[-1] == "message"


def test_an_unknown_code_or_uneven_arrays_are_refused() -> None:
    log = ExceptionLog()
    with pytest.raises(KeyError):
        log.add("NONSENSE", file="f", message="m")
    with pytest.raises(ValueError, match="differ in length"):
        log.add("SETTLED", file="f", row=[1, 2], message=["one"])


@pytest.mark.parametrize(
    "schema",
    [
        schemas.POSITIONS,
        schemas.ACCOUNTS,
        schemas.FIRMS,
        schemas.SECURITIES,
        schemas.BASIS,
        schemas.FIXINGS,
        schemas.SPREADS,
    ],
    ids=lambda s: s.name,
)
def test_columns_of_a_schema_reject_with_known_codes(schema: schemas.Schema) -> None:
    names = [column.name for column in schema.columns]
    assert len(set(names)) == len(names)
    for column in schema.columns:
        assert column.code is None or CODES[column.code].severity == "rejected"
        assert (column.kind == "choice") == bool(column.choices)
