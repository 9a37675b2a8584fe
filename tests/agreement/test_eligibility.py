from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.agreement.eligibility import (
    ASSIGNMENT_REASONS,
    CROSS_MARGINED,
    NOT_XM,
    Assignment,
    account_ineligibility,
    assign,
    log_assignment,
)
from crossmargin.book.schemas import POSITION_KINDS
from crossmargin.book.trades import Trades
from crossmargin.conventions import CME_OTHER, CME_XM, FICC_OTHER, FICC_XM
from crossmargin.exceptions import ExceptionLog
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.securities import Securities
from crossmargin.policies import read_policy

RULES = read_policy().eligibility
ALL_FLAGS: dict[str, Any] = {
    "broker_dealer": True,
    "fcm": True,
    "cme_member": True,
    "ficc_member": True,
}


def accounts(*rows: dict[str, Any]) -> pa.Table:
    default = {
        "origin": "customer",
        "ficc_role": "sponsored_member",
        "opted_in": True,
        "clearing_firm": "F1",
        "omnibus": None,
    }
    named = [{"account": f"A{n}", "row": n + 1} for n in range(len(rows))]
    return pa.Table.from_pylist([default | n | row for n, row in zip(named, rows, strict=True)])


def firms(**changed: dict[str, bool]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"clearing_firm": name} | ALL_FLAGS | flags for name, flags in changed.items()]
    )


@pytest.mark.parametrize(
    ("origin", "role", "fits"),
    [
        ("house", "netting_member", True),
        ("house", "sponsored_member", False),
        ("house", "executing_firm_customer", False),
        ("house", "none", False),
        ("customer", "netting_member", False),
        ("customer", "sponsored_member", True),
        ("customer", "executing_firm_customer", True),
        ("customer", "none", False),
    ],
)
@pytest.mark.parametrize("opted_in", [True, False])
@pytest.mark.parametrize("member", [True, False])
def test_role_opt_in_and_membership_are_all_needed(
    origin: str, role: str, fits: bool, opted_in: bool, member: bool
) -> None:
    row = {"origin": origin, "ficc_role": role, "opted_in": opted_in}
    ineligibility_reason = account_ineligibility(accounts(row), firms(F1={"fcm": member}), RULES)
    expected = "" if member else "FIRM_NOT_COMMON_MEMBER"
    if not opted_in:
        expected = "NOT_OPTED_IN"
    if not fits:
        expected = "ROLE_NOT_ELIGIBLE"
    assert ineligibility_reason.tolist() == [expected]


def test_without_a_firms_table_membership_is_taken_as_given() -> None:
    assert account_ineligibility(accounts({}, {"clearing_firm": "?"}), None, RULES).tolist() == [
        "",
        "",
    ]


@pytest.mark.parametrize("lacking", list(ALL_FLAGS))
def test_common_member_is_all_four(lacking: str) -> None:
    table = firms(F1={}, F2={lacking: False})
    rows = accounts({}, {"clearing_firm": "F2"}, {"clearing_firm": "F3"})
    # A firm that is not in the table is no member.
    expected = ["", "FIRM_NOT_COMMON_MEMBER", "FIRM_NOT_COMMON_MEMBER"]
    assert account_ineligibility(rows, table, RULES).tolist() == expected


@pytest.mark.parametrize("order", [1, -1])
def test_firm_with_rows_that_disagree_is_no_common_member(order: int) -> None:
    rows = [firms(F1={}), firms(F1={"cme_member": False})][::order]
    ineligibility_reason = account_ineligibility(accounts({}), pa.concat_tables(rows), RULES)
    assert ineligibility_reason.tolist() == ["FIRM_NOT_COMMON_MEMBER"]


NOTE = ("note", "2030-05-15")
Assigned = Callable[..., tuple[Assignment, list[dict[str, Any]]]]
CONTRACTS = tuple(
    Contract(root, np.datetime64(month, "M"))
    for root, month in (("ZT", "2025-03"), ("ZN", "2025-06"), ("SR3", "2025-03"))
)


def trades(*rows: dict[str, Any]) -> Trades:
    """Return trades of {kind, instrument (number), account, firm, xm}; cash in XM by default."""
    full = [
        {"kind": "cash", "instrument": 0, "account": 0, "firm": "", "xm": True} | r for r in rows
    ]
    size = len(full)
    future = np.array([row["kind"] == "future" for row in full], dtype=bool)
    number = np.array([row["instrument"] for row in full], dtype=np.int64)
    nothing = np.zeros(size, dtype=bool)
    firms = sorted({row["firm"] for row in full} - {""})
    return Trades(
        row=np.arange(1, size + 1),
        account=np.array([row["account"] for row in full], dtype=np.int64),
        firm=np.array([firms.index(row["firm"]) if row["firm"] else -1 for row in full], np.int64),
        kind=np.array([POSITION_KINDS.index(row["kind"]) for row in full], np.int64),
        instrument=pa.array([""] * size),
        security=np.where(future, -1, number),
        contract=np.where(future, number, -1),
        lots=np.ones(size, dtype=np.int64),
        xm=np.array([row["xm"] for row in full], dtype=bool),
        start_open=nothing,
        end_open=nothing,
        start_date=np.full(size, "NaT", dtype="datetime64[D]"),
        end_date=np.full(size, "NaT", dtype="datetime64[D]"),
        settle_date=np.full(size, "NaT", dtype="datetime64[D]"),
        failed=nothing,
        repo_rate=np.zeros(size),
        start_cash=np.zeros(size),
        contracts=CONTRACTS,
        firms=tuple(firms),
        ccp=np.full(len(rows), -1),
        ccps=(),
    )


def reasons(found: Assignment) -> list[str]:
    return [ASSIGNMENT_REASONS[number] for number in found.assignment_reason]


@pytest.fixture
def assigned(make_securities: Callable[..., Securities]) -> Assigned:
    """Return a function from rows to their assignment and the exceptions."""

    def assigned(
        *rows: dict[str, Any],
        known: tuple[str, str] = NOTE,
        people: pa.Table | None = None,
        ineligibility_reason: tuple[str, ...] = ("", ""),
        as_of: str = "2025-03-13",
        roots: tuple[str, ...] = RULES.roots,
    ) -> tuple[Assignment, list[dict[str, Any]]]:
        """Assign the rows of a security, (type, maturity); return the exceptions with them."""
        people = accounts({}, {"clearing_firm": "F2"}) if people is None else people
        kind, maturity = known
        security = make_securities(
            {"cusip": "CUSIP0", "type": kind, "issue_date": "2020-01-31", "maturity_date": maturity}
        )
        rules, log = replace(RULES, roots=roots), ExceptionLog()
        book, day = trades(*rows), np.datetime64(as_of)
        found = assign(
            book,
            accounts=people,
            ineligibility_reason=np.array(ineligibility_reason, dtype=object),
            securities=security,
            as_of=day,
            rules=rules,
        )
        log_assignment(
            found,
            book,
            accounts=people,
            securities=security,
            as_of=day,
            rules=rules,
            file="positions",
            accounts_file="accounts",
            log=log,
        )
        return found, log.table().to_pylist()

    return assigned


def test_segments_follow_product_and_account(assigned: Assigned) -> None:
    rows: list[dict[str, Any]] = [
        {"kind": kind, "instrument": number, "xm": xm}
        for kind, number in (("cash", 0), ("repo", 0), ("reverse", 0), ("future", 1), ("future", 2))
        for xm in (True, False)
    ]
    found, exceptions = assigned(*rows)
    assert found.segment.tolist() == [FICC_XM, FICC_OTHER] * 3 + [CME_XM, CME_OTHER] * 2
    assert reasons(found) == [CROSS_MARGINED, NOT_XM] * 5
    assert found.group.tolist() == [0] * 10
    assert exceptions == []


@pytest.mark.parametrize(
    ("kind", "eligible"),
    [
        ("note", True),
        ("bond", True),
        ("tips", False),
        ("frn", False),
        ("bill", False),
        ("strip", False),
        ("mbs", False),
    ],
)
def test_only_nominal_notes_and_bonds_are_eligible(
    assigned: Assigned, kind: str, eligible: bool
) -> None:
    found, exceptions = assigned({}, {"kind": "repo"}, known=(kind, "2030-05-15"))
    if eligible:
        assert found.segment.tolist() == [FICC_XM, FICC_XM]
        assert exceptions == []
    else:
        # Cash goes where its repo goes.
        assert found.segment.tolist() == [FICC_OTHER, FICC_OTHER]
        assert [(e["row"], e["severity"], e["code"], e["instrument"]) for e in exceptions] == [
            (1, "reassigned", "SECURITY_INELIGIBLE", "CUSIP0"),
            (2, "reassigned", "SECURITY_INELIGIBLE", "CUSIP0"),
        ]


@pytest.mark.parametrize(
    ("as_of", "maturity", "eligible"),
    [
        ("2025-03-13", "2026-03-13", False),
        ("2025-03-13", "2026-03-14", True),
        # A year after 29 February is 28 February.
        ("2024-02-29", "2025-02-28", False),
        ("2024-02-29", "2025-03-01", True),
        ("2024-02-28", "2025-02-28", False),
        ("2023-02-28", "2024-02-28", False),
        ("2023-02-28", "2024-02-29", True),
        ("2023-03-01", "2024-02-29", False),
    ],
)
def test_more_than_a_year_must_remain(
    assigned: Assigned, as_of: str, maturity: str, eligible: bool
) -> None:
    found, _ = assigned({}, known=("note", maturity), as_of=as_of)
    assert found.segment.tolist() == [FICC_XM if eligible else FICC_OTHER]
    assert reasons(found) == [CROSS_MARGINED if eligible else "SECURITY_INELIGIBLE"]


def test_root_the_policy_does_not_name_is_reassigned(assigned: Assigned) -> None:
    rows: list[dict[str, Any]] = [{"kind": "future", "instrument": number} for number in (1, 2)]
    found, exceptions = assigned(*rows, roots=("ZN",))
    assert found.segment.tolist() == [CME_XM, CME_OTHER]
    assert [(e["row"], e["code"], e["instrument"]) for e in exceptions] == [
        (2, "CONTRACT_INELIGIBLE", "SR3H25")
    ]


def test_barred_account_is_reassigned_and_said_once(assigned: Assigned) -> None:
    rows: list[dict[str, Any]] = [
        {"account": 1},
        {"account": 1, "kind": "future", "instrument": 1},
        {},
    ]
    rows.append({"account": 1, "xm": False})
    found, exceptions = assigned(*rows, ineligibility_reason=("", "NOT_OPTED_IN"))
    assert found.segment.tolist() == [FICC_OTHER, CME_OTHER, FICC_XM, FICC_OTHER]
    assert reasons(found) == ["NOT_OPTED_IN", "NOT_OPTED_IN", CROSS_MARGINED, NOT_XM]
    assert [(e["file"], e["row"], e["account"], e["code"]) for e in exceptions] == [
        ("accounts", 2, "A1", "NOT_OPTED_IN")
    ]


@pytest.mark.parametrize("code", ["ROLE_NOT_ELIGIBLE", "NOT_OPTED_IN", "FIRM_NOT_COMMON_MEMBER"])
def test_every_ineligibility_reason_is_an_exception(assigned: Assigned, code: str) -> None:
    _, exceptions = assigned({}, ineligibility_reason=(code, ""))
    assert [(e["severity"], e["code"]) for e in exceptions] == [("reassigned", code)]


def test_barred_account_with_nothing_in_xm_is_not_said(assigned: Assigned) -> None:
    assert assigned({"xm": False}, ineligibility_reason=("NOT_OPTED_IN", ""))[1] == []


def test_rows_at_another_firm_are_groups_of_their_own(assigned: Assigned) -> None:
    rows: list[dict[str, Any]] = [
        {"account": 0},
        {"account": 1, "firm": "F9"},
        {"account": 0, "firm": "F9", "kind": "future", "instrument": 1},
        {"account": 0, "firm": "F3", "xm": False},
        {"account": 1},
        {"account": 0, "firm": "F9"},
    ]
    found, exceptions = assigned(*rows)
    # Accounts first; then (account, firm), ascending.
    assert found.group_account.tolist() == [0, 1, 0, 0, 1]
    assert found.group_firm.tolist() == ["F1", "F2", "F3", "F9", "F9"]
    assert found.group.tolist() == [0, 4, 3, 2, 1, 3]
    assert found.segment.tolist() == [
        FICC_XM,
        FICC_OTHER,
        CME_OTHER,
        FICC_OTHER,
        FICC_XM,
        FICC_OTHER,
    ]
    assert reasons(found) == [
        CROSS_MARGINED,
        "OTHER_FIRM",
        "OTHER_FIRM",
        NOT_XM,
        CROSS_MARGINED,
        "OTHER_FIRM",
    ]
    # What was not to be cross-margined is not reassigned.
    assert [(e["row"], e["code"]) for e in exceptions] == [(n, "OTHER_FIRM") for n in (2, 3, 6)]


def test_the_assignment_reason_is_the_first_in_rank(assigned: Assigned) -> None:
    bill = ("bill", "2025-09-01")
    for row, ineligibility_reason, assignment_reason in (
        ({"xm": False, "firm": "F9"}, "NOT_OPTED_IN", NOT_XM),
        ({"firm": "F9"}, "NOT_OPTED_IN", "OTHER_FIRM"),
        ({}, "NOT_OPTED_IN", "NOT_OPTED_IN"),
        ({}, "", "SECURITY_INELIGIBLE"),
    ):
        assert reasons(
            assigned(row, known=bill, ineligibility_reason=(ineligibility_reason, ""))[0]
        ) == [assignment_reason]


@pytest.mark.parametrize(
    ("maturity", "near"),
    [
        # Ten business days on it is 27 March 2025: by then a year must still be exceeded.
        ("2026-03-14", True),
        ("2026-03-27", True),
        ("2026-03-28", False),
    ],
)
def test_note_that_falls_to_a_year_soon_is_noted(
    assigned: Assigned, maturity: str, near: bool
) -> None:
    rows: list[dict[str, Any]] = [{}, {"xm": False}]
    _, exceptions = assigned(*rows, known=("note", maturity))
    expected = [(1, "note", "MATURITY_NEAR")] if near else []
    assert [(e["row"], e["severity"], e["code"]) for e in exceptions] == expected


@pytest.mark.parametrize(
    ("as_of", "contract", "near"),
    [
        # ZTH25: its month has begun. ZNM25: ten business days before 2 June are 15 May 2025, and
        # the month begins on Sunday the 1st.
        ("2025-03-13", 0, True),
        ("2025-05-15", 1, False),
        ("2025-05-16", 1, True),
        # SR3 is settled in cash.
        ("2025-03-13", 2, False),
    ],
)
def test_delivery_month_that_begins_soon_is_noted(
    assigned: Assigned, as_of: str, contract: int, near: bool
) -> None:
    row = {"kind": "future", "instrument": contract}
    _, exceptions = assigned(row, row | {"xm": False}, as_of=as_of)
    # Delivery concerns any position, cross-margined or not.
    expected = [(row, "note", "DELIVERY_MONTH") for row in (1, 2)] if near else []
    assert [(e["row"], e["severity"], e["code"]) for e in exceptions] == expected


def test_no_trades_leave_the_accounts(assigned: Assigned) -> None:
    found, exceptions = assigned()
    assert found.group.size == found.segment.size == 0
    assert found.group_account.tolist() == [0, 1]
    assert found.group_firm.tolist() == ["F1", "F2"]
    assert exceptions == []
