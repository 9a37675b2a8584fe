from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from crossmargin.exceptions import InputError
from crossmargin.files import MAX_TOML
from crossmargin.market.scenarios import StressWindow
from crossmargin.market.short_rates import ShortRateRule
from crossmargin.policies import (
    BasisProcessRules,
    CcpTable,
    ClassDisallowance,
    CmeCorrelation,
    CmeEquivalents,
    FallbackRules,
    HaircutRules,
    HigherOfRules,
    Policy,
    ShortRateTable,
    Span,
    SpanTiers,
    SpreadCredit,
    SpreadRules,
    build,
    read_policy,
)
from crossmargin.policies.building import EVIDENCE
from crossmargin.policies.policy import DEFAULT, parse_policy
from crossmargin.policies.sections.charges import (
    CmeConcentration,
    CmeLiquidity,
    HolidayRules,
    LiquidityRules,
)

FIRST = "cme-ficc-2026-04-30"
"""The shipped policy that extends no other."""
TEXT = resources.files("crossmargin.policies").joinpath(f"{FIRST}.toml").read_text("utf-8")
CHARGE = """
[[charge]]
name = "liquidity"
ccp = "FICC"
rate = 0.0001
reducible = false
evidence = "ours"
source = "a test"
"""


def changed(parameter: str, value: str) -> str:
    """Return the default policy with another value of one parameter."""
    head, tail = TEXT.split(f"[{parameter}]\nvalue = ")
    return f"{head}[{parameter}]\nvalue = {value}\n{tail.split(chr(10), 1)[1]}"


def test_a_policy_is_a_regular_file_of_limited_size(tmp_path: Path) -> None:
    pipe, large = tmp_path / "pipe", tmp_path / "large.toml"
    os.mkfifo(pipe)
    large.write_bytes(b"#" * (MAX_TOML + 1))
    for path, says in (
        (pipe, "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (large, "1,048,577 bytes, above the limit of 1,048,576"),
    ):
        with pytest.raises(InputError, match=f"policy {path}: {says}.*; give a file or one of"):
            read_policy(path)
        own = tmp_path / "own.toml"
        own.write_text(f'name = "own"\nextends = "{path}"\n', "utf-8")
        with pytest.raises(InputError, match=f"policy {path}: {says}"):
            read_policy(own)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = " + "[" * 100_000, "not TOML: maximum recursion depth"),
        ("a = " + "[" * 200 + "]" * 200, "tables and lists are nested more than 16 deep"),
        (".".join(["a"] * 100) + " = 1", "tables and lists are nested more than 16 deep"),
        # Read as one key, it would take minutes.
        ("a = 1\n" + ".".join(["a"] * 100_000) + " = 1", "line 2 has more than 200 points"),
        ("a" * 100_000 + " = 1", "unknown entry 'a{100}'; remove it"),
        ("a = " + "9" * 5000, "not TOML: Exceeds the limit"),
    ],
)
def test_a_hostile_policy_is_refused_at_once(text: str, says: str) -> None:
    with pytest.raises(InputError, match=f"policy mine: {says}") as raised:
        parse_policy(text.encode(), name="mine")
    assert len(str(raised.value)) < 300


def test_the_default_policy_is_the_second_version() -> None:
    policy = read_policy()
    assert (policy.name, policy.extends) == (DEFAULT, FIRST)
    first = read_policy(FIRST)
    assert (policy.agreement, policy.eligibility) == (first.agreement, first.eligibility)
    assert policy.ficc == first.ficc


def test_the_first_policy_is_the_programme_of_its_date() -> None:
    policy = read_policy(FIRST)
    assert policy.name == FIRST
    assert policy.effective_from == "2026-04-30"
    assert policy.hash == hashlib.sha256(TEXT.encode()).hexdigest()
    # Methodology, sections 3, 5 and 6.
    assert (policy.agreement.cap, policy.agreement.minimum_saving) == (0.8, 0.01)
    assert policy.eligibility.remaining_months == 12
    assert len(policy.eligibility.roots) == 11
    assert (policy.scenarios.look_back, policy.scenarios.minimum_rows) == (2500, 2500)
    window = policy.scenarios.stress[0]
    assert (str(window.first), str(window.last)) == ("2008-07-01", "2009-06-30")
    assert (policy.ficc.pnl, policy.ficc.level, policy.ficc.horizon) == ("sensitivity", 0.99, 3)
    assert (policy.ficc.minimum_margin_rows, policy.ficc.floor_rows) == (500, 250)
    assert policy.ficc.floor_share == 0.1
    assert policy.ficc.floor_bucket_years == (1.0, 2.5, 3.5, 6.5, 8.0, 12.0, 22.0, 40.0)
    assert policy.ficc.floor_bucket_nodes == ("1/2", "2", "3", "5", "7", "10", "20", "30")
    assert (policy.cme.level, policy.cme.horizon, policy.cme.historical_weight) == (0.99, 1, 0.75)
    assert (policy.cme.volatility_decay, policy.cme.volatility_seed_rows) == (0.97, 250)
    assert policy.cme.volatility_limit == 3.0
    assert dict(policy.cme.equivalent_roots[:6]) == {
        2.5: "ZT",
        3.5: "Z3N",
        5.5: "ZF",
        8.0: "ZN",
        12.0: "TN",
        22.0: "ZB",
    }
    assert policy.cme.equivalent_roots[6][1] == "UB"
    assert policy.charges == ()


def test_every_parameter_has_source_and_evidence() -> None:
    policy = read_policy(FIRST)
    sections = (policy.agreement, policy.eligibility, policy.scenarios, policy.ficc, policy.cme)
    size = sum(len(fields(section)) for section in sections)
    assert len({p.name for p in policy.parameters}) == len(policy.parameters) == size
    for parameter in policy.parameters:
        assert parameter.evidence in EVIDENCE
        assert parameter.source.strip()


def test_charges_are_parameters_too() -> None:
    policy = parse_policy((TEXT + CHARGE).encode(), name="mine")
    (charge,) = policy.charges
    assert (charge.name, charge.ccp, charge.rate, charge.reducible) == (
        "liquidity",
        "FICC",
        0.0001,
        False,
    )
    last = policy.parameters[-1]
    assert (last.name, last.value, last.evidence) == ("charge.FICC.liquidity", 0.0001, "ours")


def test_own_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(changed("agreement.cap", "1"), "utf-8")
    policy = read_policy(path)
    assert policy.agreement.cap == 1.0
    assert isinstance(policy.agreement.cap, float)
    assert policy.hash != read_policy(FIRST).hash


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"policy .*nowhere\.toml"):
        read_policy(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    "text",
    [b"\xff\xfe", b"name = ", b"a = " + b"[" * 100_000, b"a = " + b"9" * 10_000, b"a = 1\na = 2"],
)
def test_what_is_no_toml_is_refused(text: bytes) -> None:
    with pytest.raises(InputError, match="policy mine: not TOML"):
        parse_policy(text, name="mine")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("agreement.offset_method", '"largest"'),
        ("agreement.cap", "1.01"),
        ("agreement.cap", "-0.1"),
        ("agreement.cap", "nan"),
        ("agreement.cap", '"0.8"'),
        ("agreement.cap", "true"),
        ("agreement.cap", "1" + "0" * 400),
        ("agreement.minimum_saving", "2"),
        ("eligibility.security_types", '["note", "gilt"]'),
        ("eligibility.security_types", '"note"'),
        ("eligibility.remaining_months", "-1"),
        ("eligibility.remaining_months", "12.0"),
        ("eligibility.roots", '["ZN", "GE"]'),
        ("eligibility.house_roles", '["member"]'),
        ("eligibility.customer_roles", "[1]"),
        ("scenarios.look_back", "0"),
        ("scenarios.minimum_rows", "2501"),
        ("scenarios.stress_windows", '[["2009-06-30", "2008-07-01"]]'),
        ("scenarios.stress_windows", '[["2008-07-01"]]'),
        ("scenarios.stress_windows", '[["2008-02-30", "2009-06-30"]]'),
        ("scenarios.stress_windows", '[["2008", "2009-06-30"]]'),
        ("scenarios.stress_windows", '[["2008-07-01", "today"]]'),
        ("scenarios.stress_windows", '[["NaT", "NaT"]]'),
        ("ficc.pnl", '"gradient"'),
        ("ficc.level", "1.0"),
        ("ficc.level", "0.0"),
        ("ficc.level", "0.9999999999999"),
        ("ficc.horizon", "0"),
        ("ficc.minimum_margin_rows", "0"),
        ("ficc.floor_share", "-0.1"),
        ("ficc.floor_rows", "1"),
        ("ficc.floor_bucket_years", "[1.0, 1.0, 3.5, 6.5, 8.0, 12.0, 22.0, 40.0]"),
        ("ficc.floor_bucket_nodes", '["1/2"]'),
        ("ficc.floor_bucket_nodes", '["1/2", "2", "3", "4", "7", "10", "20", "30"]'),
        ("cme.model", '"SPAN"'),
        ("cme.level", "1.5"),
        ("cme.horizon", "61"),
        ("cme.historical_weight", "1.1"),
        ("cme.volatility_decay", "1.0"),
        ("cme.volatility_seed_rows", "0"),
        ("cme.volatility_limit", "0.5"),
        ("cme.volatility_limit", "inf"),
        ("cme.equivalent_roots", '[[2.5, "ZT"], [2.0, "ZF"]]'),
        ("cme.equivalent_roots", '[[2.5, "SR3"]]'),
        ("cme.equivalent_roots", "[]"),
    ],
)
def test_senseless_value_is_refused_by_name(parameter: str, value: str) -> None:
    with pytest.raises(InputError) as error:
        parse_policy(changed(parameter, value).encode(), name="mine")
    section, name = parameter.split(".")
    assert str(error.value).startswith("policy mine: ")
    assert section in str(error.value)
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.replace("[agreement.cap]", "[agreement.caps]"), "agreement.caps: unknown"),
        (lambda t: t.replace("[agreement.cap]", "[other.cap]"), "unknown entry 'other'"),
        (lambda t: t.split("[cme.model]")[0], "cme: the table is missing"),
        (
            lambda t: t.split("[cme.equivalent_roots]")[0],
            "cme.equivalent_roots: the parameter is missing",
        ),
        (
            lambda t: t.replace("value = 0.80\n", ""),
            "agreement.cap: give exactly value, evidence and",
        ),
        (
            lambda t: t.replace("value = 0.80", "value = 0.80\nnote = 1"),
            "agreement.cap: give exactly",
        ),
        (
            lambda t: t.replace(
                'value = 0.80\nevidence = "confirmed"', 'value = 0.8\nevidence = ""'
            ),
            "agreement.cap: evidence '' is not one of confirmed",
        ),
        (
            lambda t: t.replace('source = "recollected; no text read"', 'source = " "'),
            "agreement.minimum_saving: source",
        ),
        (
            lambda t: t.replace('source = "recollected; no text read"', "source = 1"),
            "agreement.minimum_saving: source",
        ),
        (lambda t: t.replace('name = "cme', 'nome = "cme', 1), "unknown entry 'nome'"),
        (lambda t: t.replace('name = "cme-ficc-2026-04-30"', "name = 1"), "name must be a text"),
        (lambda t: t.replace("effective_from = 2026-04-30", ""), "effective_from must be a date"),
        (
            lambda t: t.replace("= 2026-04-30\n", "= 2026-04-30T00:00:00\n", 1),
            "effective_from must be a date",
        ),
        (lambda t: "charge = 5\n" + t, "charge must be a list"),
        (lambda t: "charge = [5]\n" + t, "charge 1: must be a table"),
        (
            lambda t: t + CHARGE.replace("rate = 0.0001\n", ""),
            "charge 1.rate: the parameter is missing",
        ),
        (lambda t: t + CHARGE.replace("0.0001", "1.5"), "charge 1.rate must"),
        (lambda t: t + CHARGE.replace("FICC", "LCH"), "charge 1.ccp must"),
        (lambda t: t + CHARGE.replace("false", '"no"'), "charge 1.reducible: 'no' is not of type"),
        (lambda t: t + CHARGE.replace("ours", "sure"), "charge 1: evidence 'sure'"),
        (lambda t: t + CHARGE.replace("a test", ""), "charge 1: source"),
        (lambda t: t + CHARGE + CHARGE, "charge.name"),
        (lambda t: t + CHARGE.replace('"liquidity"', '"repo rate"'), "charge 1.name must not be"),
    ],
)
def test_malformed_file_is_refused_by_name(change: Callable[[str], str], says: str) -> None:
    text = change(TEXT)
    assert text != TEXT
    with pytest.raises(InputError) as error:
        parse_policy(text.encode(), name="mine")
    assert str(error.value).startswith("policy mine: ")
    assert says in str(error.value)


SPAN_POLICY = f"{FIRST}-span"


def span_with(parameter: str, value: str) -> str:
    """Return a policy that changes one parameter of the shipped one with the span model."""
    return (
        f'name = "mine"\nextends = "{SPAN_POLICY}"\n[{parameter}]\nvalue = {value}\n'
        'evidence = "ours"\nsource = "a test"\n'
    )


def test_shipped_span_policy_is_the_default_but_for_the_cme_like_model() -> None:
    policy, default = read_policy(SPAN_POLICY), read_policy(FIRST)
    assert (policy.cme.model, default.cme.model) == ("span", "hvar")
    span = policy.get(Span)
    assert default.get(Span) is None
    assert span is not None
    # Nothing that CME alone could tell: no range, charge or credit rate is supplied.
    assert span.scan_ranges == span.spread_rates == ()
    assert span.intra_spreads == span.delivery_charges == ()
    assert (span.calibration_rows, span.calibration_level) == (500, 0.99)
    for section in ("agreement", "eligibility", "scenarios", "ficc", "charges"):
        assert getattr(policy, section) == getattr(default, section)


def test_span_parameters_as_a_user_gives_them() -> None:
    spread = '[[["ZN", 2, "A"], ["ZB", 1, "B"]]]'
    policy = parse_policy(span_with("span.spreads", spread).encode(), name="mine")
    span = policy.get(Span)
    assert span is not None
    assert span.spreads == ((("ZN", 2.0, "A"), ("ZB", 1.0, "B")),)
    tiers = '[["ZN", 0, 2], ["ZB", 0, 5], ["ZN", 3, 11]]'
    policy = parse_policy(span_with("span.tiers", tiers).encode(), name="mine")
    span = policy.get(Span)
    assert span is not None
    assert span.tiers_of("ZN") == [(0, 2), (3, 11)]
    assert span.tiers_of("UB") == []


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("span.scan_ranges", '[["ZN", 0.0]]'),
        ("span.scan_ranges", '[["ZN", 1.0], ["ZN", 2.0]]'),
        ("span.scan_ranges", '[["GE", 1.0]]'),
        ("span.scan_ranges", '[["ZN", 1e10]]'),
        ("span.extreme_multiple", "0.5"),
        ("span.extreme_cover", "1.01"),
        ("span.tiers", '[["ZN", 0, 3], ["ZN", 3, 6]]'),
        ("span.tiers", '[["ZN", 4, 3]]'),
        ("span.tiers", '[["GE", 0, 3]]'),
        ("span.intra_spreads", '[["ZN", 1, 1, 100.0]]'),
        ("span.delivery_charges", '[["ZN", -1.0]]'),
        ("span.spreads", '[[["ZN", 1, "A"], ["ZB", 1, "A"]]]'),
        ("span.spreads", '[[["ZN", 1, "A"], ["ZN", 1, "B"]]]'),
        ("span.spreads", '[[["ZN", 0, "A"], ["ZB", 1, "B"]]]'),
        ("span.spreads", '[[["ZN", 1, "A"], ["GE", 1, "B"]]]'),
        ("span.spreads", "[[]]"),
        ("span.spread_rates", "[0.5]"),
        ("span.calibration_rows", "0"),
        ("span.calibration_level", "1.0"),
        ("span.product_codes", '[["ZN", "CBT", "21"], ["ZB", "CBT", "21"]]'),
        ("span.product_codes", '[["GE", "CME", "GE"]]'),
    ],
)
def test_senseless_span_parameter_is_refused_by_name(parameter: str, value: str) -> None:
    with pytest.raises(InputError) as error:
        parse_policy(span_with(parameter, value).encode(), name="mine")
    assert str(error.value).startswith(f"policy mine: {parameter}")


def test_span_model_without_its_table_is_refused() -> None:
    with pytest.raises(InputError, match=r"span: the table is missing, and cme\.model needs it"):
        parse_policy(changed("cme.model", '"span"').encode(), name="mine")


def test_no_stress_window_is_allowed() -> None:
    policy = parse_policy(changed("scenarios.stress_windows", "[]").encode(), name="mine")
    assert policy.scenarios.stress == ()


def test_windows_are_dates() -> None:
    text = changed("scenarios.stress_windows", '[["2020-02-15", "2020-04-30"]]')
    (window,) = parse_policy(text.encode(), name="mine").scenarios.stress
    assert window.last - window.first == np.timedelta64(75, "D")


OWN = """
name = "mine"
extends = "PARENT"
[agreement.cap]
value = 0.5
evidence = "ours"
source = "a test"
"""


def test_a_policy_extends_a_shipped_one() -> None:
    policy = parse_policy(OWN.replace("PARENT", FIRST).encode(), name="mine")
    default = read_policy(FIRST)
    assert (policy.name, policy.extends, policy.title) == ("mine", FIRST, default.title)
    assert policy.agreement.cap == 0.5
    assert policy.agreement.minimum_saving == default.agreement.minimum_saving
    assert policy.ficc == default.ficc
    changed_ones = {p.name for p in policy.parameters if p not in default.parameters}
    assert changed_ones == {"agreement.cap"}
    assert policy.hash != default.hash


@pytest.mark.parametrize("own", ["", f'name = "{FIRST}"'])
def test_a_policy_that_extends_another_has_a_name_of_its_own(own: str) -> None:
    # Results under other numbers must not bear the name of the shipped ones.
    with pytest.raises(InputError, match="policy mine: give it a name, other than"):
        parse_policy(f'extends = "{FIRST}"\n{own}\n'.encode(), name="mine")


def test_a_policy_extends_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(changed("agreement.cap", "0.7") + CHARGE, "utf-8")
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace("PARENT", "base.toml").split("[agreement.cap]")[0], "utf-8")
    policy = read_policy(path)
    assert policy.agreement.cap == 0.7
    assert [charge.name for charge in policy.charges] == ["liquidity"]
    before = policy.hash
    (tmp_path / "base.toml").write_text(changed("agreement.cap", "0.6"), "utf-8")
    assert read_policy(path).hash != before


@pytest.mark.parametrize(
    ("parent", "says"),
    [
        ("own.toml", "more than 8 policies extend each other"),
        ("gone.toml", "policy gone.toml: no such file"),
    ],
)
def test_what_cannot_be_extended_is_refused(tmp_path: Path, parent: str, says: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace("PARENT", parent), "utf-8")
    with pytest.raises(InputError, match=says):
        read_policy(path)
    with pytest.raises(InputError, match="extends must be the name"):
        parse_policy(b"extends = 1", name="mine")


A, B = (
    OWN.replace("mine", name)
    .replace("PARENT", FIRST)
    .replace("[agreement.cap]\nvalue = 0.5", f"[{parameter}]\nvalue = {value}")
    for name, parameter, value in (
        ("a", "agreement.cap", 0.7),
        ("b", "agreement.minimum_saving", 0.02),
    )
)


def test_policies_that_are_extended_together_keep_what_each_changes(tmp_path: Path) -> None:
    # Both extend the default policy, whose values undo nothing that another of them changes.
    (tmp_path / "a.toml").write_text(A, "utf-8")
    (tmp_path / "b.toml").write_text(B.replace('"b"', '"b"\ntitle = "B"'), "utf-8")
    text = 'name = "mine"\nextends = ["a.toml", "b.toml"]\n'
    for order in (text, text.replace('"a.toml", "b.toml"', '"b.toml", "a.toml"')):
        policy = parse_policy(order.encode(), name="mine", folder=tmp_path)
        assert (policy.agreement.cap, policy.agreement.minimum_saving) == (0.7, 0.02)
        assert (policy.name, policy.title) == ("mine", "B")
    assert policy.extends == "b.toml, a.toml"
    # A later one goes over an earlier one, and the file over both.
    (tmp_path / "b.toml").write_text(A.replace("0.7", "0.6"), "utf-8")
    assert parse_policy(text.encode(), name="mine", folder=tmp_path).agreement.cap == 0.6
    own = text + OWN.split('"PARENT"')[1]
    assert parse_policy(own.encode(), name="mine", folder=tmp_path).agreement.cap == 0.5


def test_the_hash_is_of_all_policies_in_order(tmp_path: Path) -> None:
    def digest(*texts: str) -> str:
        return hashlib.sha256("".join(texts).encode()).hexdigest()

    (tmp_path / "a.toml").write_text(A, "utf-8")
    (tmp_path / "b.toml").write_text(B, "utf-8")
    base = read_policy(FIRST).hash
    a, b = digest(base, A), digest(base, B)
    assert read_policy(tmp_path / "a.toml").hash == a
    for text, expected in (
        ('name = "mine"\nextends = ["a.toml", "b.toml"]', (a, b)),
        ('name = "mine"\nextends = ["b.toml", "a.toml"]', (b, a)),
        ('name = "mine"\nextends = "a.toml"', (a,)),
        ('name = "mine"\nextends = ["a.toml"]', (a,)),
    ):
        found = parse_policy(text.encode(), name="mine", folder=tmp_path).hash
        assert found == digest(*expected, text)


@pytest.mark.parametrize(
    "extends", ["[]", "[1]", f'["{FIRST}", "{FIRST}"]', "{ a = 1 }", f'[["{FIRST}"]]']
)
def test_a_list_of_policies_names_each_once(extends: str) -> None:
    with pytest.raises(InputError, match="or a list of names, each once"):
        parse_policy(f'name = "mine"\nextends = {extends}'.encode(), name="mine")


def test_so_many_policies_are_not_read(tmp_path: Path) -> None:
    # Without a limit, seven levels of eight files each would be two million reads.
    for level in range(7):
        for number in range(8):
            names = [f"{level + 1}-{n}.toml" for n in range(8)] if level < 6 else [FIRST]
            text = f'name = "{level}-{number}"\nextends = {names}\n'
            (tmp_path / f"{level}-{number}.toml").write_text(text, "utf-8")
    with pytest.raises(InputError, match="more than 64 policies are extended"):
        read_policy(tmp_path / "0-0.toml")


@pytest.mark.parametrize("kind", ["span", "charges"])
def test_the_second_version_has_what_its_parents_change(kind: str) -> None:
    first, second = "cme-ficc-2026-04-30", "cme-ficc-2026-11-30"
    base = {p.name: p.value for p in read_policy(first).parameters}
    policy = read_policy(f"{second}-{kind}")
    assert policy.extends == f"{first}-{kind}, {second}"
    found = {p.name: p.value for p in policy.parameters}
    for parent in (f"{first}-{kind}", second):
        values = {p.name: p.value for p in read_policy(parent).parameters}
        changed_ones = {name for name, value in values.items() if base.get(name) != value}
        assert {name: found[name] for name in changed_ones} == {
            name: values[name] for name in changed_ones
        }


CLASSES = """
name = "mine"
extends = "cme-ficc-2026-04-30"
[agreement.offset_method]
value = "class_disallowance"
evidence = "ours"
source = "a test"
[class_disallowance.classes]
value = [["short", 5], ["long", 30.0]]
evidence = "ours"
source = "a test"
[class_disallowance.within]
value = [0.0, 1]
evidence = "ours"
source = "a test"
[class_disallowance.across]
value = [["long", "short", 0.5]]
evidence = "ours"
source = "a test"
"""
SPREADS = """
name = "mine"
extends = "cme-ficc-2026-04-30"
[agreement.offset_method]
value = "spread_credit"
evidence = "ours"
source = "a test"
[spread_credit.classes]
value = [["short", 5.0], ["long", 30.0]]
evidence = "ours"
source = "a test"
[spread_credit.spreads]
value = [["long", ["UB", "ZB"], 0.5], ["short", ["ZT"], 1.0]]
evidence = "ours"
source = "a test"
"""


def test_tables_of_offset_methods_are_read_where_they_are_given() -> None:
    policy = parse_policy(CLASSES.encode(), name="mine")
    assert policy.agreement.offset_method == "class_disallowance"
    assert policy.get(ClassDisallowance) == ClassDisallowance(
        (("short", 5.0), ("long", 30.0)), (0.0, 1.0), (("long", "short", 0.5),)
    )
    assert policy.get(SpreadCredit) is None
    assert policy.parameters[-1].name == "class_disallowance.across"
    assert parse_policy(SPREADS.encode(), name="mine").get(SpreadCredit) == SpreadCredit(
        (("short", 5.0), ("long", 30.0)),
        (("long", ("UB", "ZB"), 0.5), ("short", ("ZT",), 1.0)),
    )
    assert read_policy(FIRST).optional == {}


def test_a_table_may_be_there_unused() -> None:
    policy = parse_policy(
        CLASSES.replace('"class_dis', '"lower_of_models" #').encode(), name="mine"
    )
    assert policy.agreement.offset_method == "lower_of_models"
    assert policy.get(ClassDisallowance) is not None


@pytest.mark.parametrize(
    ("text", "old", "new", "says"),
    [
        (CLASSES, '"long", 30.0', '"long", 5.0', "class_disallowance.classes must"),
        (CLASSES, '"long", 30.0', '"short", 30.0', "class_disallowance.classes must"),
        (CLASSES, '"short", 5', '"short", 0', "class_disallowance.classes must"),
        (CLASSES, "[0.0, 1]", "[0.0]", "class_disallowance.within must"),
        (CLASSES, "[0.0, 1]", "[0.0, 1.5]", "class_disallowance.within must"),
        (CLASSES, '"short", 0.5', '"other", 0.5', "class_disallowance.across must"),
        (CLASSES, '"short", 0.5', '"long", 0.5', "class_disallowance.across must"),
        (CLASSES, '"short", 0.5', '"short", -0.5', "class_disallowance.across must"),
        (CLASSES, "0.5]]", '0.5], ["short", "long", 0.5]]', "class_disallowance.across must"),
        (CLASSES, "class_disallowance.", "spread_credit.", "spread_credit.within: unknown"),
        (CLASSES, 'value = "class_dis', 'value = "spread_credit" #', "spread_credit is missing"),
        (SPREADS, '["UB", "ZB"]', "[]", "spread_credit.spreads must name a class, at least"),
        (SPREADS, '"long", ["', '"other", ["', "spread_credit.spreads must name a class"),
        (SPREADS, "1.0]]", "1.1]]", "spread_credit.spreads must name a class"),
        (SPREADS, '["ZT"]', '["GE"]', "spread_credit.spreads holds an unknown root"),
        (SPREADS, '["UB", "ZB"]', '["UB", "UB"]', "spread_credit.spreads must not name"),
        (SPREADS, '[["short", 5.0], ["long", 30.0]]', "[]", "spread_credit.classes must"),
    ],
)
def test_senseless_table_of_a_offset_method_is_refused(
    text: str, old: str, new: str, says: str
) -> None:
    assert old in text
    with pytest.raises(InputError) as error:
        parse_policy(text.replace(old, new).encode(), name="mine")
    assert says in str(error.value)


CHARGES = resources.files("crossmargin.policies").joinpath(f"{FIRST}-charges.toml").read_text()


def with_value(parameter: str, value: str) -> str:
    """Return the shipped policy with charges, one parameter given another value."""
    head, tail = CHARGES.split(f"[{parameter}]\n")
    return f"{head}[{parameter}]\nvalue = {value}\nevidence{tail.split('evidence', 1)[1]}"


def test_policy_with_charges_extends_the_default() -> None:
    policy, default = read_policy(f"{FIRST}-charges"), read_policy(FIRST)
    assert (policy.extends, policy.ficc, policy.cme) == (FIRST, default.ficc, default.cme)
    assert default.optional == {}
    haircuts, higher_of = policy.get(HaircutRules), policy.get(HigherOfRules)
    assert haircuts is not None
    assert haircuts.buckets[0] == (
        "Treasury 0-6m",
        ("bill", "note", "bond", "strip", "frn"),
        6,
    )
    assert higher_of is not None
    assert higher_of.business_days == 26
    # Their rates are not published, and cannot be calibrated from yields.
    assert (policy.get(LiquidityRules), policy.get(HolidayRules)) == (None, None)


@pytest.mark.parametrize(
    ("parameter", "value", "says"),
    [
        ("haircuts.short_months", "-1", "short_months must be"),
        ("haircuts.buckets", "[]", "buckets must have names"),
        ("haircuts.buckets", '[["a", ["gilt"], 6]]', "buckets holds an unknown type"),
        ("haircuts.buckets", '[["a", [], 6]]', "buckets holds an unknown type"),
        ("haircuts.buckets", '[["a", ["bill"], 0]]', "buckets must have a last month"),
        ("haircuts.buckets", '[["a", ["bill"]]]', "each entry needs 3 parts"),
        ("haircuts.buckets", '[["a", ["bill"], 6], ["a", ["tips"], 6]]', "each once"),
        ("haircuts.nodes", '["1/2"]', "nodes must name a node for each bucket"),
        ("haircuts.uncorrelated", '["linkers"]', "uncorrelated must name buckets"),
        ("haircuts.rates", "[0.1]", "rates must be empty, or one for each bucket"),
        ("haircuts.rates", "[1.5, 0, 0, 0, 0, 0, 0, 0, 0, 0]", "rates must be empty"),
        ("haircuts.correlations", "[[1.0]]", "correlations must be empty, or a correlation"),
        ("repo_rate.term_months", "[3, 1, 6, 12]", "term_months must ascend"),
        ("repo_rate.term_months", "[]", "term_months must ascend"),
        ("repo_rate.nodes", '["1"]', "nodes must name a node for each bucket"),
        ("repo_rate.rates", "[0.01]", "rates must be empty, or one for each bucket"),
        ("backtesting.months", "0", "months must be"),
        ("backtesting.coverage", "1.5", "coverage must lie"),
        ("backtesting.rank", "0", "rank must be positive"),
        ("higher_of.business_days", "0", "business_days must be"),
    ],
)
def test_senseless_value_of_an_optional_table_is_refused(
    parameter: str, value: str, says: str
) -> None:
    with pytest.raises(InputError) as error:
        parse_policy(with_value(parameter, value).encode(), name="mine")
    assert str(error.value).startswith(f"policy mine: {parameter.split('.')[0]}")
    assert says in str(error.value)


def test_what_must_be_supplied_is_shown() -> None:
    shown = CHARGES.split("placeholders:\n")[1].replace("#   ", "").replace("#\n", "\n")
    policy = parse_policy((CHARGES + shown).encode(), name="mine")
    liquidity = policy.get(LiquidityRules)
    assert liquidity is not None
    assert len(liquidity.rates) == len(liquidity.groups) == 7
    assert liquidity.threshold == 0.4
    assert policy.get(HolidayRules) == HolidayRules(0.1)


@pytest.mark.parametrize(
    ("rows", "sound"),
    [
        (((1.0, 0.5), (0.5, 1.0)), True),
        (((1.0, 0.5), (0.4, 1.0)), False),
        (((0.9, 0.5), (0.5, 0.9)), False),
        (((1.0, -1.1), (-1.1, 1.0)), False),
        (((1.0, 0.5),), False),
        (((1.0,), (0.5, 1.0)), False),
    ],
)
def test_correlations_are_those_of_something(
    rows: tuple[tuple[float, ...], ...], sound: bool
) -> None:
    groups = (("a", ("bill",), 6), ("b", ("bill",), 12))
    found = HaircutRules(12, groups, ("1/2", "1"), (), (), rows).rules()
    (holds,) = (v for k, v in found.items() if k.startswith("correlations"))
    assert holds == sound


def test_rates_that_must_be_supplied_are_checked() -> None:
    groups = (("a", ("note",), 12), ("b", ("note",), 24))
    assert all(LiquidityRules(groups, (0.1, 0.2), 0.4).rules().values())
    assert not all(LiquidityRules(groups, (0.1,), 0.4).rules().values())
    assert not all(LiquidityRules(groups, (0.1, 1.2), 0.4).rules().values())
    assert not all(LiquidityRules(groups, (0.1, 0.2), -0.4).rules().values())
    assert all(HolidayRules(0.1).rules().values())
    assert not all(HolidayRules(-0.1).rules().values())


def entries(**values: str) -> str:
    """Return entries of a policy, `section__parameter` to TOML value."""
    return "".join(
        f'[{name.replace("__", ".")}]\nvalue = {value}\nevidence = "ours"\nsource = "a test"\n'
        for name, value in values.items()
    )


def test_correlation_scaling_is_a_table_of_its_own() -> None:
    assert read_policy(FIRST).get(CmeCorrelation) is None
    own = entries(cme_correlation__weight="0.5", cme_correlation__decay="0.97")
    policy = parse_policy((TEXT + own).encode(), name="mine")
    assert policy.get(CmeCorrelation) == CmeCorrelation(weight=0.5, decay=0.97)
    assert [(p.name, p.evidence) for p in policy.parameters[-2:]] == [
        ("cme_correlation.weight", "ours"),
        ("cme_correlation.decay", "ours"),
    ]


SHORT_RATES = {
    "short_rates__nodes": '["2", "5", "10"]',
    "short_rates__front_years": "0.1",
    "short_rates__funds_indices": '["EFFR", "SOFR"]',
    "short_rates__funds_rows": "21",
    "short_rates__proxy_share": "0.25",
    "short_rates__proxy_node": '"2"',
}


def test_short_rates_are_a_table_of_their_own() -> None:
    assert read_policy(FIRST).get(ShortRateTable) is None
    policy = parse_policy((TEXT + entries(**SHORT_RATES)).encode(), name="mine")
    table = policy.get(ShortRateTable)
    assert table == ShortRateTable(("2", "5", "10"), 0.1, ("EFFR", "SOFR"), 21, 0.25, "2")
    assert table.rule == ShortRateRule(("2", "5", "10"), 0.1, ("EFFR", "SOFR"), 21, 0.25, "2")
    assert table.rule.factor == ("short:0", "short:2", "short:5", "short:10")


CHARGED = {
    "cme_liquidity__cost": '[["ZN", 15.625], ["SR3", 6]]',
    "cme_liquidity__reducible": "false",
    "cme_concentration__threshold": "0.1",
    "cme_concentration__rate": '[["ZN", 3.5]]',
    "cme_concentration__reducible": "true",
}


def test_liquidity_and_concentration_are_tables_of_their_own() -> None:
    policy = parse_policy((TEXT + entries(**CHARGED)).encode(), name="mine")
    assert policy.get(CmeLiquidity) == CmeLiquidity(
        cost=(("ZN", 15.625), ("SR3", 6.0)), reducible=False
    )
    assert policy.get(CmeConcentration) == CmeConcentration(0.1, (("ZN", 3.5),), reducible=True)
    own = [p.name.partition(".")[0] for p in policy.parameters[-5:]]
    assert own == ["cme_liquidity"] * 2 + ["cme_concentration"] * 3
    # A component of a house has one name.
    twice = TEXT + entries(**CHARGED) + CHARGE.replace("FICC", "CME")
    with pytest.raises(InputError, match=r"charge\.name must differ"):
        parse_policy(twice.encode(), name="mine")


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (CHARGED | {"cme_liquidity__cost": '[["ES", 1.0]]'}, "cme_liquidity.cost must"),
        (CHARGED | {"cme_liquidity__cost": '[["ZN", -1.0]]'}, "cme_liquidity.cost must"),
        (
            CHARGED | {"cme_liquidity__cost": '[["ZN", 1.0], ["ZN", 2.0]]'},
            "cme_liquidity.cost must",
        ),
        (CHARGED | {"cme_liquidity__cost": "[]"}, "cme_liquidity.cost must"),
        (CHARGED | {"cme_concentration__rate": '[["ZN", 1e5]]'}, "cme_concentration.rate must"),
        (CHARGED | {"cme_concentration__threshold": "-0.5"}, "cme_concentration.threshold must"),
        (CHARGED | {"cme_concentration__name": '"x"'}, "cme_concentration.name: unknown parameter"),
        *(
            (SHORT_RATES | {f"short_rates__{name}": value}, f"short_rates.{name} must")
            for name, value in (
                ("nodes", "[]"),
                ("nodes", '["5", "2"]'),
                ("nodes", '["1/4", "2"]'),
                ("nodes", '["2", "2"]'),
                ("front_years", "0.0"),
                ("funds_indices", "[]"),
                ("funds_indices", '["SOFR", "SOFR"]'),
                ("funds_indices", '["LIBOR"]'),
                ("funds_rows", "0"),
                ("proxy_share", "1.5"),
                ("proxy_node", '"3"'),
            )
        ),
        ({"cme_correlation__weight": "1.0"}, "cme_correlation.decay: the parameter is missing"),
        (
            {"cme_correlation__weight": "1.1", "cme_correlation__decay": "0.97"},
            "cme_correlation.weight must",
        ),
        (
            {"cme_correlation__weight": "-0.1", "cme_correlation__decay": "0.97"},
            "cme_correlation.weight must",
        ),
        (
            {"cme_correlation__weight": "1.0", "cme_correlation__decay": "1.0"},
            "cme_correlation.decay must",
        ),
    ],
)
def test_senseless_optional_table_is_refused_by_name(own: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=f"policy mine: {says}"):
        parse_policy((TEXT + entries(**own)).encode(), name="mine")


def ccp(**values: str) -> str:
    """Return a policy with another clearing house ABC, some of its parameters given or changed."""
    given = {"title": '"A B C"', "model": '"var"', "clears": '["cash", "repo"]', **values}
    named = {f"ccp__ABC__{name}": value for name, value in given.items() if value}
    return OWN.replace("PARENT", FIRST) + entries(**named)


def test_another_clearing_house_is_data() -> None:
    assert read_policy(FIRST).ccps == ()
    policy = parse_policy(ccp(level="0.995", buckets='[["a", 1]]').encode(), name="mine")
    assert policy.ccps == (
        CcpTable("ABC", "A B C", "var", ("cash", "repo"), {"level": 0.995, "buckets": [["a", 1]]}),
    )
    assert [(p.name, p.value, p.evidence) for p in policy.parameters[-5:]] == [
        ("ccp.ABC.title", "A B C", "ours"),
        ("ccp.ABC.model", "var", "ours"),
        ("ccp.ABC.clears", ["cash", "repo"], "ours"),
        ("ccp.ABC.level", 0.995, "ours"),
        ("ccp.ABC.buckets", [["a", 1]], "ours"),
    ]


def test_another_clearing_house_is_extended_by_its_parameters(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(ccp(level="0.995", horizon="2"), "utf-8")
    own = OWN.replace("PARENT", "base.toml").replace("mine", "another")
    path = tmp_path / "own.toml"
    path.write_text(own + entries(ccp__ABC__level="0.99", ccp__XY2__title='"X"'), "utf-8")
    with pytest.raises(InputError, match=r"ccp\.XY2\.model: the parameter is missing"):
        read_policy(path)
    more = entries(ccp__XY2__title='"X"', ccp__XY2__model='"m"', ccp__XY2__clears='["future"]')
    path.write_text(own + entries(ccp__ABC__level="0.99") + more, "utf-8")
    assert read_policy(path).ccps == (
        CcpTable("ABC", "A B C", "var", ("cash", "repo"), {"level": 0.99, "horizon": 2}),
        CcpTable("XY2", "X", "m", ("future",), {}),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ccp(title=""), "ccp.ABC.title: the parameter is missing"),
        (ccp(model=""), "ccp.ABC.model: the parameter is missing"),
        (ccp(clears=""), "ccp.ABC.clears: the parameter is missing"),
        (ccp(title='" "'), "ccp.ABC.title must not be blank"),
        (ccp(model='""'), "ccp.ABC.model must not be blank"),
        (ccp(title="1"), "ccp.ABC.title: 1 is not of type str"),
        (ccp(clears='"cash"'), "ccp.ABC.clears: must be a list"),
        (ccp(clears="[]"), "ccp.ABC.clears must name kinds of positions, each once: cash, repo"),
        (ccp(clears='["cash", "cash"]'), "ccp.ABC.clears must name kinds"),
        (ccp(clears='["swap"]'), "ccp.ABC.clears must name kinds"),
        (
            ccp().replace("ABC.model", "ABC"),
            "ccp.ABC.value: give exactly value, evidence and source",
        ),
        (ccp().replace('evidence = "ours"', 'evidence = "sure"'), "evidence 'sure' is not one of"),
        (ccp().replace("ABC", "FICC"), "ccp.FICC: FICC has its own table; use [ficc]"),
        (ccp().replace("ABC", "CME"), "ccp.CME: CME has its own table; use [cme]"),
        (ccp().replace("ABC", "A"), "ccp.A: the name of a clearing house must be 2 to 12 capital"),
        (ccp().replace("ABC", "A" * 200), f"ccp.{'A' * 100}: the name of a clearing house"),
        (ccp().replace("ABC", "abc"), "ccp.abc: the name of a clearing house"),
        (ccp().replace("ABC", "2AB"), "ccp.2AB: the name of a clearing house"),
        ("ccp = 5\n" + TEXT, "ccp must hold tables: [ccp.NAME.parameter]"),
        ("ccp = {ABC = 5}\n" + TEXT, "ccp.ABC: the table is missing"),
    ],
)
def test_a_malformed_clearing_house_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(InputError) as error:
        parse_policy(text.encode(), name="mine")
    assert str(error.value).startswith("policy mine: ")
    assert says in str(error.value)


@dataclass(frozen=True)
class Terms:
    level: float
    buckets: tuple[tuple[str, int], ...]

    def rules(self) -> dict[str, bool]:
        return {"level must lie between 0 and 1": 0.0 <= self.level <= 1.0}


def test_a_model_checks_the_parameters_of_its_clearing_house() -> None:
    policy = parse_policy(ccp(level="1", buckets='[["a", 1]]').encode(), name="mine")
    (table,) = policy.ccps
    assert build(Terms, table.parameters, "policy mine: ccp.ABC") == Terms(1.0, (("a", 1),))
    for values, says in (
        ({"level": 2.0}, "buckets: the parameter is missing"),
        ({"level": 0.5, "buckets": [["a"]]}, "buckets: each entry needs 2 parts"),
        ({"level": 2.0, "buckets": []}, "level must lie between 0 and 1"),
        ({"level": 0.5, "buckets": [], "more": 1}, "more: unknown parameter; known: level, b"),
    ):
        with pytest.raises(InputError, match=rf"^policy mine: ccp\.ABC\.{says}"):
            build(Terms, values, "policy mine: ccp.ABC")


def test_optional_tables_are_reached_by_their_class() -> None:
    policy = read_policy(FIRST)
    with_both = policy.with_sections(HolidayRules(0.1), CmeCorrelation(0.5, 0.97))
    assert with_both.get(HolidayRules) == HolidayRules(0.1)
    assert with_both.get(Span) is None
    again = with_both.with_sections(HolidayRules(0.2))
    assert again.get(HolidayRules) == HolidayRules(0.2)
    assert again.get(CmeCorrelation) == CmeCorrelation(0.5, 0.97)
    assert policy.optional == {}
    assert with_both.without_sections(HolidayRules, Span).optional == {
        CmeCorrelation: CmeCorrelation(0.5, 0.97)
    }


PERIODS = """
[stress.periods]
value = [
    ["FICC", "long ago", "2008-07-01", "2009-06-30", []],
    ["CME", "long ago", "2008-07-01", "2009-06-30", ["ZN", "SR3"]],
    ["CME", "spring", "2020-03-01", "2020-03-31", []],
]
evidence = "ours"
source = "a test"
"""


def with_periods(value: str | None = None) -> Policy:
    """Return a policy with periods of stress by clearing house."""
    text = 'name = "mine"\nextends = "cme-ficc-2026-04-30"\n' + PERIODS
    if value is not None:
        text = re.sub(r"value = \[.*\n\]", f"value = {value}", text, flags=re.S)
    return parse_policy(text.encode(), name="mine")


def test_each_clearing_house_has_its_periods_of_stress() -> None:
    policy = with_periods()
    ficc, cme = policy.scenarios_of("FICC"), policy.scenarios_of("CME")
    long_ago = np.datetime64("2008-07-01"), np.datetime64("2009-06-30")
    spring = np.datetime64("2020-03-01"), np.datetime64("2020-03-31")
    assert ficc.stress == (StressWindow(*long_ago),)
    assert cme.stress == (StressWindow(*long_ago, ("ZN", "SR3")), StressWindow(*spring))
    assert cme.apart == tuple((window,) for window in cme.stress)
    assert (cme.look_back, cme.minimum_rows) == (2500, 2500)
    # Without the table both have those of `scenarios`, together.
    plain = read_policy(FIRST)
    assert plain.scenarios_of("CME") is plain.scenarios
    assert plain.scenarios.apart == (plain.scenarios.stress,)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ('[["LCH", "a", "2020-03-01", "2020-03-31", []]]', "must name FICC or CME"),
        ('[["CME", " ", "2020-03-01", "2020-03-31", []]]', "must have names"),
        (
            '[["CME", "a", "2020-03-01", "2020-03-31", []],'
            ' ["CME", "a", "2021-03-01", "2021-03-31", []]]',
            "names, which differ",
        ),
        ('[["CME", "a", "2020-03-31", "2020-03-01", []]]', "first day that is not after"),
        ('[["CME", "a", "2020-03", "2020-03-31", []]]', "first day that is not after"),
        ('[["CME", "a", "2020-03-01", "2020-03-31", ["GE"]]]', "roots of futures"),
        ('[["CME", "a", "2020-03-01", "2020-03-31"]]', "needs 5 parts"),
        ('[["CME", "a", "2020-03-01", "2020-03-31", "ZN"]]', "must be a list"),
    ],
)
def test_periods_of_stress_that_make_no_sense_are_refused(value: str, says: str) -> None:
    with pytest.raises(InputError, match=rf"policy mine: stress\.periods.*{says}"):
        with_periods(value)


@pytest.mark.parametrize("buffer", ["-0.1", "1.5", "nan"])
def test_a_buffer_is_a_share(buffer: str) -> None:
    text = (
        'name = "mine"\nextends = "cme-ficc-2026-04-30"\n'
        f'[cme_floor.buffer]\nvalue = {buffer}\nevidence = "ours"\nsource = "a test"\n'
    )
    with pytest.raises(InputError, match=r"policy mine: cme_floor\.buffer"):
        parse_policy(text.encode(), name="mine")


BY_GROUP = SpreadRules(
    buckets=((2.5, "2"), (40.0, "30")),
    on_the_run_volatility_bp=(0.5, 0.6),
    off_the_run_volatility_bp=(0.7, 0.8),
    memory=0.9,
    correlation_scale=0.5,
    run_correlation=0.5,
    stress_multiple=2.0,
    seed=1,
)
BASES = BasisProcessRules((("ZN", 0.03),), 0.9, 2.0, 1)


@pytest.mark.parametrize(
    ("table", "wrong", "says"),
    [
        (BY_GROUP, {"buckets": ((40.0, "2"), (2.5, "30"))}, "buckets must ascend"),
        (BY_GROUP, {"buckets": ((2.5, "2"), (40.0, "2"))}, "buckets must ascend"),
        (BY_GROUP, {"buckets": ((2.5, "2 y"), (40.0, "30"))}, "buckets must ascend"),
        (BY_GROUP, {"buckets": ()}, "buckets must ascend"),
        (BY_GROUP, {"on_the_run_volatility_bp": (0.5,)}, "on_the_run_volatility_bp"),
        (BY_GROUP, {"off_the_run_volatility_bp": (0.5, -0.1)}, "on_the_run_volatility_bp"),
        (BY_GROUP, {"memory": 1.0}, "memory must be"),
        (BY_GROUP, {"correlation_scale": 0.0}, "correlation_scale must be"),
        (BY_GROUP, {"run_correlation": 1.1}, "run_correlation must"),
        (BY_GROUP, {"stress_multiple": 0.5}, "stress_multiple must be"),
        (BY_GROUP, {"seed": -1}, "seed must be"),
        (BASES, {"volatility": (("SR3", 0.03),)}, "volatility must name"),
        (BASES, {"volatility": (("ZN", 0.03), ("ZN", 0.04))}, "volatility must name"),
        (BASES, {"volatility": (("ZN", 1.5),)}, "volatility must name"),
        (BASES, {"memory": -0.1}, "memory must be"),
    ],
)
def test_spreads_and_assumed_bases_are_checked(
    table: SpreadRules | BasisProcessRules, wrong: dict[str, object], says: str
) -> None:
    assert all(table.rules().values())
    broken = next(text for text, holds in replace(table, **wrong).rules().items() if not holds)
    assert broken.startswith(says)


TIERS = """
name = "mine"
extends = "cme-ficc-2026-11-30-span"
[span_tiers.scan_tiers]
value = [["SR3", 0, 2], ["ZN", 0, 2], ["SR3", 3, 5]]
evidence = "ours"
source = "a test"
[span_tiers.ranges]
value = [["SR3", 2, 700.0]]
evidence = "ours"
source = "a test"
"""


def test_scan_ranges_may_be_by_tier() -> None:
    tiers = parse_policy(TIERS.encode(), name="mine").get(SpanTiers)
    assert tiers is not None
    assert tiers.tiers_of("SR3") == [(0, 2), (3, 5)]
    assert tiers.ranges == (("SR3", 2, 700.0),)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('["SR3", 3, 5]', '["SR3", 2, 5]', "span_tiers.scan_tiers must name known roots, and"),
        ('["SR3", 3, 5]', '["GE", 3, 5]', "span_tiers.scan_tiers must name known roots, and"),
        ('"SR3", 2, 700.0', '"SR3", 3, 700.0', "span_tiers.ranges must name tiers of a root"),
        ('"SR3", 2, 700.0', '"ZF", 1, 700.0', "span_tiers.ranges must name tiers of a root"),
        ('"SR3", 2, 700.0', '"SR3", 2, 0.0', "span_tiers.ranges must name tiers of a root"),
        ('"SR3", 2, 700.0', '"SR3", 2, 1e10', "span_tiers.ranges must name tiers of a root"),
        ("700.0]]", '700.0], ["SR3", 2, 1.0]]', "span_tiers.ranges must name tiers of a root"),
        (
            "[span_tiers.ranges]",
            '[span.scan_ranges]\nvalue = [["ZN", 1.0]]\nevidence = "ours"\nsource = "x"\n'
            "[span_tiers.ranges]",
            "span.scan_ranges names ZN, which has ranges by tier",
        ),
    ],
)
def test_tiers_that_make_no_sense_are_refused(old: str, new: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_policy(TIERS.replace(old, new).encode(), name="mine")


EQUIVALENTS = """
name = "mine"
extends = "cme-ficc-2026-11-30"
[equivalents.illiquid]
value = ["Z3N", "TWE"]
evidence = "ours"
source = "a test"
[equivalents.minimum_volume]
value = 1000
evidence = "ours"
source = "a test"
[equivalents.from_span_file]
value = true
evidence = "ours"
source = "a test"
"""


def test_futures_that_are_not_liquid_stand_for_no_cash() -> None:
    shipped = read_policy("cme-ficc-2026-11-30").get(CmeEquivalents)
    assert shipped is not None
    assert (shipped.illiquid, shipped.minimum_volume) == (("Z3N",), 0.0)
    assert not shipped.from_span_file
    own = parse_policy(EQUIVALENTS.encode(), name="mine").get(CmeEquivalents)
    assert own == replace(
        shipped, illiquid=("Z3N", "TWE"), minimum_volume=1000.0, from_span_file=True
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"TWE"', '"SR3"', "equivalents.illiquid must name Treasury futures"),
        ('"TWE"', '"Z3N"', "equivalents.illiquid must name Treasury futures"),
        ("1000", "-1", "equivalents.minimum_volume must be 0 or more"),
        ("1000", "nan", "equivalents.minimum_volume: nan is not finite"),
        (
            "[equivalents.from_span_file]",
            '[equivalents.product_codes]\nvalue = []\nevidence = "ours"\nsource = "x"\n'
            "[equivalents.from_span_file]",
            "product_codes must not be empty where from_span_file is true",
        ),
        (
            "[equivalents.from_span_file]",
            '[equivalents.product_codes]\nvalue = [["ZN", "CBT", "21"], ["ZF", "CBT", "21"]]\n'
            'evidence = "ours"\nsource = "x"\n[equivalents.from_span_file]',
            "product_codes must name each root and each product once",
        ),
    ],
)
def test_equivalents_that_make_no_sense_are_refused(old: str, new: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_policy(EQUIVALENTS.replace(old, new).encode(), name="mine")


@pytest.mark.parametrize(
    ("rules", "broken"),
    [
        (FallbackRules("last_good_factor", 0), None),
        (FallbackRules("none", 5), "rule must be one of zero_benefit, last_good_factor, other"),
        (FallbackRules("zero_benefit", -1), "last_good_days must be 0 to 2500"),
    ],
)
def test_fallback_rules(rules: FallbackRules, broken: str | None) -> None:
    failed = [message for message, holds in rules.rules().items() if not holds]
    assert len(failed) == (broken is not None)
    assert all(message.startswith(broken or "") for message in failed)
    shipped = read_policy()
    assert shipped.get(FallbackRules) == FallbackRules("zero_benefit", 5)
    evidence = {p.name: p.evidence for p in shipped.parameters}
    assert evidence["fallback.rule"] == "unconfirmed"
