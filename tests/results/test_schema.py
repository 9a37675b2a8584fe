"""Every column of a result is in a schema, with what it says, and is what the schema says."""

from __future__ import annotations

from typing import get_args

import pyarrow as pa
import pytest

from crossmargin import exceptions
from crossmargin.agreement import requirement
from crossmargin.book import schemas
from crossmargin.policies.building import EVIDENCE
from crossmargin.results.schema import NUMBER, TEXT, Column, Evidence, Schema
from crossmargin.results.schemas import SCHEMAS
from crossmargin.results.schemas.compare import COMPARE, COMPARED
from crossmargin.results.schemas.run import ACCOUNTS, CARRIED, EXCEPTIONS, RUN_TABLES
from crossmargin.results.schemas.shared import STAMPS
from crossmargin.results.schemas.whatif import WHAT_IFS
from crossmargin.results.table import MONEY

SCHEMA = Schema(
    "example",
    (
        Column("name", TEXT, "What it is called."),
        Column("amount", MONEY, "What it costs.", "USD", "nobody knows"),
    ),
    carries=True,
)
NAMES, AMOUNTS = pa.array(["a", "b"]), pa.array([1, None], MONEY)


def test_a_table_has_the_columns_of_its_schema_in_their_order() -> None:
    table = SCHEMA.table({"amount": AMOUNTS, "name": NAMES})
    assert table.schema == SCHEMA.arrow
    assert table.to_pydict()["name"] == ["a", "b"]


def test_columns_of_the_user_follow_ours() -> None:
    own = {"desk": pa.array([1, 2])}
    table = SCHEMA.table({"name": NAMES, "amount": AMOUNTS}, own)
    assert table.column_names == ["name", "amount", "desk"]
    with pytest.raises(ValueError, match="example: does not carry name"):
        SCHEMA.table({"name": NAMES, "amount": AMOUNTS}, {"name": NAMES})
    with pytest.raises(ValueError, match="what_ifs: does not carry desk"):
        WHAT_IFS.table({c.name: pa.nulls(0, c.type) for c in WHAT_IFS.columns}, own)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"name": NAMES}, "example: lacks amount, has nothing beside"),
        (
            {"name": NAMES, "amount": AMOUNTS, "more": NAMES},
            "example: lacks nothing, has more beside",
        ),
        ({"name": NAMES, "amount": NAMES}, r"example.amount: decimal128\(20, 2\) expected, got st"),
        ({"name": pa.array(["a", None]), "amount": AMOUNTS}, "example.name: 1 nulls, none expect"),
    ],
)
def test_a_table_that_is_not_what_its_schema_says_is_refused(
    cells: dict[str, pa.Array], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SCHEMA.table(cells)


def test_a_column_comes_by_its_name() -> None:
    assert SCHEMA["amount"].unit == "USD"
    with pytest.raises(KeyError, match="cost"):
        SCHEMA["cost"]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_every_column_says_what_it_is(schema: Schema) -> None:
    names = [column.name for column in schema.columns]
    assert len(set(names)) == len(names)
    stamps = {stamp.name for stamp in STAMPS} if schema in RUN_TABLES else set()
    assert not set(names) & stamps
    for column in schema.columns:
        assert column.meaning.endswith("."), column.name
        assert "|" not in column.meaning + column.unit + column.null, column.name
        assert not column.null.endswith("."), column.name
        assert column.unit == "USD" or column.type != MONEY, column.name


def test_evidence_is_in_the_words_of_policies() -> None:
    assert get_args(Evidence) == tuple(EVIDENCE)


def test_schemas_agree_with_what_they_are_made_from() -> None:
    assert EXCEPTIONS.arrow == exceptions.SCHEMA
    money = [column.name for column in ACCOUNTS.columns if column.type == MONEY]
    assert money == [*requirement.AMOUNTS, "unused_saving"]
    assert {column.name for column in CARRIED} < {c.name for c in schemas.ACCOUNTS.columns}


def test_a_comparison_has_differences_of_numbers_alone() -> None:
    numbers = [name for name in COMPARED if ACCOUNTS[name].type in (MONEY, NUMBER)]
    found = [c.name for c in COMPARE.columns if c.name.endswith("_difference")]
    assert found == [f"{name}_difference" for name in numbers]
    assert all(COMPARE[f"{name}_a"].null for name in COMPARED)
