"""How many contracts bring the offset rate to the cap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.policies import read_policy
from crossmargin.whatif.cap import both_ways, smallest


def test_the_first_number_that_reaches_the_cap_counts() -> None:
    """The rate rises, falls and rises again: only asking every number finds the first one."""
    asked: list[int] = []

    def rates(numbers: list[int]) -> Any:
        asked.extend(numbers)
        return np.array([0.8 if n in (-700, 701, 900) else 0.01 * (n % 7) for n in numbers])

    found = smallest(rates, both_ways(1000), 0.8)
    assert (found.contracts, found.rate) == (-700, 0.8)
    assert asked[:5] == [0, 1, -1, 2, -2]
    assert asked.count(-700) == 1
    none = smallest(rates, both_ways(100), 0.8)
    # -1 % 7 is 6.
    assert (none.contracts, none.rate, none.at) == (None, 0.06, -1)


@pytest.fixture(scope="module")
def session(sample_inputs: dict[str, Any]) -> xm.Session:
    """Return a session under a policy with a low cap, which many accounts reach."""
    rules = read_policy()
    low = replace(rules, agreement=replace(rules.agreement, cap=0.4))
    return xm.Session(xm.run(**sample_inputs, policy=low))


def test_no_smaller_number_reaches_it(session: xm.Session) -> None:
    reached = 0
    for account in session.accounts:
        if session.what_if(account)["reason"] is not None or reached == 5:
            continue
        found = session.to_cap(account, "ZNU26", limit=150)
        if found.contracts is None:
            assert found.answer is None
            assert found.reason is not None
            assert found.highest_rate < 0.4
            continue
        reached += found.contracts != 0
        assert found.reason is None
        assert found.answer == session.what_if(account, {"ZNU26": found.contracts})
        assert found.answer is not None
        assert found.answer["offset_rate"] == found.highest_rate == 0.4
        size = abs(found.contracts)
        for lots in range(-size + 1, size):
            assert session.what_if(account, {"ZNU26": lots})["offset_rate"] < 0.4
    assert reached


def test_moves_are_of_what_the_ordinary_account_holds(session: xm.Session) -> None:
    scope = session.scope()
    future = scope.instruments["ZNU26"]
    account = next(
        name
        for name, number in scope.accounts.items()
        if scope.eligible[number] and session.what_if(name)["requirement"] is not None
    )
    session.add_account("HEDGED")
    number = session.scope().accounts["HEDGED"]
    nothing = session.to_cap("HEDGED", "ZNU26", move=True)
    assert nothing.contracts is None
    assert "up to 0 that the ordinary account holds" in str(nothing.reason)
    assert session.scope().held(number, session.scope().other[future], future) == 0
    assert session.to_cap(account, "ZNU26", move=True).account == account


def test_where_nothing_can_reach_it_the_reason_is_told(session: xm.Session) -> None:
    scope = session.scope()
    barred = next(name for name, at in scope.accounts.items() if not scope.eligible[at])
    assert session.to_cap(barred, "ZNU26").reason == "the account may not be cross-margined"
    unread = np.flatnonzero(~scope.batch.clients.complete & scope.batch.clients.eligible)[0]
    found = session.to_cap(session.accounts[unread], "ZNU26")
    assert found.reason == "rows of the account are rejected, so it gets no offset"
    session.add_account("EMPTY")
    found = session.to_cap("EMPTY", "ZNU26", limit=5)
    assert "at most 0.00%, at 0 (ONE_SIDED), and the cap is 40%" in str(found.reason)


def test_what_is_no_future_or_no_limit_is_refused(session: xm.Session) -> None:
    cusip = next(name for name in session.instruments if name.startswith("SYN"))
    with pytest.raises(ValueError, match="is not a future"):
        session.to_cap(session.accounts[0], cusip)
    for limit in (0, -1, True, 1.5, 10**9):
        with pytest.raises(ValueError, match="limit: 1 to 100,000 contracts expected"):
            session.to_cap(session.accounts[0], "ZNU26", limit=limit)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="account 'NOBODY' is not in the run"):
        session.to_cap("NOBODY", "ZNU26")


def test_a_moved_position_is_found(sample_book: Any) -> None:
    """Cash in the cross-margin account, its hedge in the ordinary one: moving it saves."""
    tables = sample_book(20)
    rules = read_policy()
    low = replace(rules, agreement=replace(rules.agreement, cap=0.2))
    accounts = tables["accounts"].slice(0, 1)
    cusip = "SYN360510"
    positions = pa.Table.from_pylist(
        [
            {"kind": "cash", "instrument": cusip, "quantity": 10_000_000.0, "xm": True},
            {"kind": "future", "instrument": "TNU26", "quantity": -120.0, "xm": False},
        ],
        tables["positions"].schema,
    )
    name = accounts["account"][0].as_py()
    at = positions.schema.get_field_index("account")
    positions = positions.set_column(at, "account", pa.array([name] * 2, positions.schema[at].type))
    given = tables | {"accounts": accounts, "positions": positions}
    session = xm.Session(xm.run(**given, market=xm.sample_market(), policy=low))
    found = session.to_cap(name, "TNU26", move=True)
    assert found.contracts is not None
    assert -120 <= found.contracts < 0
    assert found.answer == session.what_if(name, moves={"TNU26": found.contracts})
    fewer = session.what_if(name, moves={"TNU26": found.contracts + 1})
    assert fewer["offset_rate"] < 0.2
