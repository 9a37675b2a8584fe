from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from crossmargin.policies import read_policy
from crossmargin.policies.explain import (
    MEANING,
    PURPOSE,
    STANDING,
    Difference,
    differences,
    explain,
    unconfirmed,
)
from crossmargin.policies.policy import (
    OPTIONAL,
    SECTIONS,
    STANDINGS,
    parse_policy,
    shipped_policies,
)

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "docs" / "policies").glob("*.toml"))

OWN = b"""
name = "mine"
extends = "cme-ficc-2026-04-30"
[agreement.cap]
value = 0.7000001
standing = "ours"
source = "a test"
[agreement.minimum_saving]
value = 0.01
standing = "confirmed"
source = "a test"
[[charge]]
name = "liquidity"
house = "FICC"
rate = 1
inside = true
standing = "unconfirmed"
source = "a test"
[[charge]]
name = "liquidity"
house = "CME"
rate = 0.0001
inside = false
standing = "ours"
source = "a test"
"""


def test_every_table_parameter_and_standing_has_its_words() -> None:
    tables = {**SECTIONS, **OPTIONAL}
    assert set(PURPOSE) == {*tables, "charge"}
    assert set(MEANING) == {
        f"{key}.{field.name}" for key, cls in tables.items() for field in fields(cls)
    }
    assert tuple(STANDING) == STANDINGS


def test_all_parameters_are_explained_in_their_tables() -> None:
    policy = read_policy()
    sections = explain(policy)
    assert [section.name for section in sections] == list(SECTIONS)
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
    assert [(e.name, e.value, e.standing) for e in charges.entries] == [
        ("charge.FICC.liquidity", "1 inside", "unconfirmed"),
        ("charge.CME.liquidity", "0.0001 outside", "ours"),
    ]


def test_what_is_unconfirmed_is_listed() -> None:
    default = set(unconfirmed(read_policy()))
    assert default == {p.name for p in read_policy().parameters if p.standing == "unconfirmed"}
    mine = set(unconfirmed(parse_policy(OWN, name="mine")))
    assert mine == default - {"agreement.minimum_saving"} | {"charge.FICC.liquidity"}


def test_differences_are_in_names_values_and_standings() -> None:
    a, b = read_policy(), parse_policy(OWN, name="mine")
    assert differences(a, b) == (
        Difference("name", a.name, None, "mine", None),
        Difference("extends", "", None, a.name, None),
        # Seven digits, or it would look like 0.7.
        Difference("agreement.cap", "0.8", "confirmed", "0.7000001", "ours"),
        Difference("agreement.minimum_saving", "0.01", "unconfirmed", "0.01", "confirmed"),
        Difference("charge.FICC.liquidity", None, None, "1 inside", "unconfirmed"),
        Difference("charge.CME.liquidity", None, None, "0.0001 outside", "ours"),
    )
    assert differences(a, a) == ()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_marked_as_such(path: Path) -> None:
    policy = read_policy(path)
    assert policy.name == path.stem
    assert policy.name.startswith("example-")
    assert "made-up" in policy.authority
    own = tomllib.loads(path.read_text("utf-8"))
    reducer = own.pop("agreement", None)
    if reducer:
        assert set(own) & {policy.agreement.reducer} == {reducer["reducer"]["value"]}
    made_up = [*own.pop("charge", [])]
    made_up += [
        entry for table in own.values() if isinstance(table, dict) for entry in table.values()
    ]
    assert made_up
    assert {(entry["standing"], entry["source"]) for entry in made_up} == {
        ("ours", "example, made up")
    }
    shown = {entry.source for table in explain(policy) for entry in table.entries}
    assert "example, made up" in shown


def test_examples_show_every_table_that_no_shipped_policy_has() -> None:
    assert len(EXAMPLES) == 4
    examples = [read_policy(path) for path in EXAMPLES]
    shipped = [read_policy(name) for name in shipped_policies()]
    for table in OPTIONAL:
        assert any(getattr(policy, table) is not None for policy in (*examples, *shipped)), table
