from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pytest

from crossmargin.policies import read_policy
from crossmargin.policies.explain import (
    Difference,
    differences,
    explain,
    unconfirmed,
)
from crossmargin.policies.files import shipped_policies
from crossmargin.policies.policy import parse_policy
from crossmargin.policies.sections import REQUIRED, SECTIONS
from crossmargin.policies.sections.common import meanings

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "docs" / "policies").glob("*.toml"))

FIRST = "cme-ficc-2026-04-30"

OWN = b"""
name = "mine"
extends = "cme-ficc-2026-04-30"
[agreement.cap]
value = 0.7000001
evidence = "ours"
source = "a test"
[agreement.minimum_saving]
value = 0.01
evidence = "confirmed"
source = "a test"
[[charge]]
name = "liquidity"
ccp = "FICC"
rate = 1
reducible = true
evidence = "unconfirmed"
source = "a test"
[[charge]]
name = "liquidity"
ccp = "CME"
rate = 0.0001
reducible = false
evidence = "ours"
source = "a test"
"""


def test_every_table_and_parameter_has_its_words() -> None:
    for name, section in SECTIONS.items():
        assert section.table == name
        assert section.purpose.endswith(".")
        means = meanings(section)
        assert list(means) == [field.name for field in fields(cast(Any, section))]
        assert all(means.values())


def test_all_parameters_are_explained_in_their_tables() -> None:
    policy = read_policy(FIRST)
    sections = explain(policy)
    assert [section.name for section in sections] == list(REQUIRED)
    entries = [entry for section in sections for entry in section.entries]
    assert [e.name for e in entries] == [p.name for p in policy.parameters]
    words = {entry.name: entry.value for entry in entries}
    assert words["agreement.cap"] == "0.8"
    assert words["cme.volatility_limit"] == "3"
    assert words["scenarios.stress_windows"] == "2008-07-01 2009-06-30"
    assert words["eligibility.security_types"] == "note, bond"
    assert words["cme.equivalent_roots"].startswith("2.5 ZT; 3.5 Z3N; ")


def test_charges_say_whose_they_are_and_whether_they_are_reduced() -> None:
    charges = explain(parse_policy(OWN, name="mine"))[-1]
    assert [(e.name, e.value, e.evidence) for e in charges.entries] == [
        ("charge.FICC.liquidity", "1 reducible", "unconfirmed"),
        ("charge.CME.liquidity", "0.0001 not reducible", "ours"),
    ]


def test_what_is_unconfirmed_is_listed() -> None:
    default = set(unconfirmed(read_policy(FIRST)))
    assert default == {p.name for p in read_policy(FIRST).parameters if p.evidence == "unconfirmed"}
    mine = set(unconfirmed(parse_policy(OWN, name="mine")))
    assert mine == default - {"agreement.minimum_saving"} | {"charge.FICC.liquidity"}


def test_differences_are_in_names_values_and_evidence() -> None:
    a, b = read_policy(FIRST), parse_policy(OWN, name="mine")
    assert differences(a, b) == (
        Difference("name", a.name, None, "mine", None),
        Difference("extends", "", None, a.name, None),
        # Seven digits, or it would look like 0.7.
        Difference("agreement.cap", "0.8", "confirmed", "0.7000001", "ours"),
        Difference("agreement.minimum_saving", "0.01", "unconfirmed", "0.01", "confirmed"),
        Difference("charge.FICC.liquidity", None, None, "1 reducible", "unconfirmed"),
        Difference("charge.CME.liquidity", None, None, "0.0001 not reducible", "ours"),
    )
    assert differences(a, a) == ()


CCP = b"""
name = "third"
extends = "cme-ficc-2026-04-30"
[ccp.ABC]
title = { value = "A B C", evidence = "ours", source = "a test" }
model = { value = "var", evidence = "ours", source = "a test" }
clears = { value = ["cash", "future"], evidence = "inferred", source = "a test" }
level = { value = 0.995, evidence = "unconfirmed", source = "a test" }
[[charge]]
name = "liquidity"
ccp = "CME"
rate = 0.0001
reducible = false
evidence = "ours"
source = "a test"
"""


def test_another_clearing_house_is_explained_and_compared() -> None:
    policy = parse_policy(CCP, name="third")
    table, charge = explain(policy)[-2:]
    assert charge.name == "charge"
    assert (table.name, table.purpose) == (
        "ccp.ABC",
        "A B C: a clearing house that is margined by the model var.",
    )
    assert [(e.name, e.value, e.meaning, e.evidence) for e in table.entries] == [
        ("ccp.ABC.title", "A B C", "full name of the clearing house", "ours"),
        ("ccp.ABC.model", "var", "name of its margin model", "ours"),
        ("ccp.ABC.clears", "cash, future", "kinds of positions that it clears", "inferred"),
        ("ccp.ABC.level", "0.995", "parameter of the model var", "unconfirmed"),
    ]
    assert "ccp.ABC.level" in unconfirmed(policy)
    other = parse_policy(CCP.replace(b"0.995", b"0.99"), name="third")
    assert differences(policy, other) == (
        Difference("ccp.ABC.level", "0.995", "unconfirmed", "0.99", "unconfirmed"),
    )
    without = {difference.name for difference in differences(read_policy(FIRST), policy)}
    assert {"ccp.ABC.title", "ccp.ABC.level", "charge.CME.liquidity"} <= without


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_marked_as_such(path: Path) -> None:
    policy = read_policy(path)
    assert policy.name == path.stem
    assert policy.name.startswith("example-")
    assert "made-up" in policy.authority
    own = tomllib.loads(path.read_text("utf-8"))
    offset_method = own.pop("agreement", None)
    if offset_method:
        assert set(own) & {policy.agreement.offset_method} == {
            offset_method["offset_method"]["value"]
        }
    made_up = [*own.pop("charge", [])]
    made_up += [entry for table in own.pop("ccp", {}).values() for entry in table.values()]
    made_up += [
        entry for table in own.values() if isinstance(table, dict) for entry in table.values()
    ]
    assert made_up
    assert {(entry["evidence"], entry["source"]) for entry in made_up} == {
        ("ours", "example, made up")
    }
    shown = {entry.source for table in explain(policy) for entry in table.entries}
    assert "example, made up" in shown


def test_examples_show_every_table_that_no_shipped_policy_has() -> None:
    assert len(EXAMPLES) == 6
    examples = [read_policy(path) for path in EXAMPLES]
    shipped = [read_policy(name) for name in shipped_policies()]
    for table, cls in SECTIONS.items():
        if table in REQUIRED:
            continue
        assert any(policy.get(cls) is not None for policy in (*examples, *shipped)), table
