"""Questions from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import crossmargin as xm
from crossmargin.exceptions import InputError
from crossmargin.results.schemas.run import EXCEPTIONS
from crossmargin.results.schemas.whatif import IMPACTS


@pytest.fixture(scope="module")
def session(sample_run: xm.RunResult) -> xm.Session:
    return xm.Session(sample_run)


@pytest.fixture(scope="module")
def held(session: xm.Session, sample_run: xm.RunResult) -> dict[str, Any]:
    """Return a cross-margined future of an account that has none in the ordinary account."""
    lines = sample_run.positions.to_arrow().to_pylist()
    ordinary = {(line["account"], line["instrument"]) for line in lines if not line["xm"]}
    scope = session.scope()
    return next(
        line
        for line in lines
        if line["kind"] == "future"
        and line["assignment_reason"] == "CROSS_MARGINED"
        and (line["account"], line["instrument"]) not in ordinary
        and scope.eligible[scope.accounts[line["account"]]]
    )


def written(path: Path, *rows: str, header: str = "account,instrument,quantity") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def codes(answers: Any) -> list[tuple[int, str]]:
    return [(row["row"], row["code"]) for row in answers.exceptions]


def test_a_row_is_a_question(session: xm.Session, tmp_path: Path) -> None:
    a, b = session.accounts[:2]
    file = written(tmp_path / "q.csv", f"{a},ZNU26,-10", f"{b},ZNU6,5", f"{a},ZFU26,7")
    answered = xm.answer_questions(session, file)
    assert answered.answers.to_arrow().schema.equals(IMPACTS.arrow)
    assert set(EXCEPTIONS.arrow.names) <= set(answered.exceptions.column_names)
    assert not len(answered.exceptions)
    rows = answered.answers.to_arrow().to_pylist()
    expected = session.impacts([(a, {"ZNU26": -10}), (b, {"ZNU26": 5}), (a, {"ZFU26": 7})])
    assert rows == expected.to_arrow().to_pylist()


def test_rows_of_a_question_are_taken_together(
    session: xm.Session, held: dict[str, Any], tmp_path: Path
) -> None:
    account, name, lots = held["account"], held["instrument"], held["quantity"]
    other = next(one for one in session.accounts if one != account)
    header = "question,account,instrument,quantity,move,xm"
    file = written(
        tmp_path / "q.csv",
        f"desk,{account},ZFU26,12,,",
        f"desk,{account},{name},{-lots},true,",
        f"desk,{other},ZFU26,-12,false,no",
        f",{account},ZFU26,3,,",
        header=header,
    )
    rows = xm.answer_questions(session, file).answers.to_arrow().to_pylist()
    assert [(row["question"], row["account"]) for row in rows] == [
        ("desk", account),
        ("desk", other),
        ("4", account),
    ]
    after = [
        session.what_if(account, {"ZFU26": 12}, moves={name: -lots}),
        session.what_if(other, {"ZFU26": -12}, xm=False),
        session.what_if(account, {"ZFU26": 3}),
    ]
    assert [row["requirement_after"] for row in rows] == [row["requirement"] for row in after]


def test_a_row_never_joins_a_question_by_its_number(session: xm.Session, tmp_path: Path) -> None:
    account = session.accounts[0]
    header = "question,account,instrument,quantity"
    rows = (f",{account},ZNU26,5", f"1,{account},ZNU26,6")
    with pytest.raises(InputError, match=r"row 1 has no question, and another .* is called 1"):
        xm.answer_questions(session, written(tmp_path / "q.csv", *rows, header=header))
    file = written(tmp_path / "r.csv", *reversed(rows), header=header)
    named = xm.answer_questions(session, file).answers["question"].to_pylist()
    assert named == ["1", "2"]


def test_bad_rows_are_set_aside_with_their_question(
    session: xm.Session, held: dict[str, Any], tmp_path: Path
) -> None:
    account, name, lots = held["account"], held["instrument"], held["quantity"]
    file = written(
        tmp_path / "q.csv",
        f"one,{account},ZNU26,5,",
        f"one,{account},ZNU26,many,",
        "two,NOBODY,ZNU26,5,",
        f"three,{account},ZNU99X,5,",
        f"four,{account},912828XX9,100,",
        f"five,{account},ZNU26,1.5,",
        f"six,{account},ZNU26,100000000,",
        f"seven,{account},{name},{2 * lots},yes",
        f"seven,{account},ZFU26,1,no",
        f"eight,{account},ZNU26,5,",
        f"nine,{account},ZNU26,5,perhaps",
        header="question,account,instrument,quantity,move",
    )
    answered = xm.answer_questions(session, file)
    assert answered.answers["question"].to_pylist() == ["eight"]
    assert codes(answered) == [
        (1, "QUESTION_INCOMPLETE"),
        (2, "QUANTITY_INVALID"),
        (3, "ACCOUNT_UNKNOWN"),
        (4, "CONTRACT_UNKNOWN"),
        (5, "INSTRUMENT_UNKNOWN"),
        (6, "QUANTITY_NOT_WHOLE_LOT"),
        (7, "QUANTITY_INVALID"),
        (8, "MOVE_IMPOSSIBLE"),
        (9, "QUESTION_INCOMPLETE"),
        (11, "VALUE_INVALID"),
    ]
    assert {row["severity"] for row in answered.exceptions} == {"rejected"}


def test_an_absurd_amount_sets_its_question_aside_alone(
    session: xm.Session, tmp_path: Path
) -> None:
    name = next(name for name in session.accounts if session.what_if(name)["reason"] is None)
    file = written(
        tmp_path / "q.csv",
        f"small,{name},UBU26,5",
        *[f"large,{name},UBU26,9999999"] * 4,
        header="question,account,instrument,quantity",
    )
    answered = xm.answer_questions(session, file)
    assert answered.answers["question"].to_pylist() == ["small"]
    assert codes(answered) == [(row, "QUANTITY_INVALID") for row in (2, 3, 4, 5)]
    assert "check the units" in next(iter(answered.exceptions))["message"]


def test_a_frame_and_a_parquet_file_give_what_the_text_gives(
    session: xm.Session, tmp_path: Path
) -> None:
    account = session.accounts[1]
    frame = pd.DataFrame({"account": [account], "instrument": ["ZNU26"], "quantity": [-3]})
    pq.write_table(pa.table(dict(frame)), tmp_path / "q.parquet")
    file = written(tmp_path / "q.csv", f"{account},ZNU26,-3")
    answers = [
        xm.answer_questions(session, source).answers.to_arrow()
        for source in (frame, tmp_path / "q.parquet", file)
    ]
    assert answers[0].equals(answers[1])
    assert answers[0].equals(answers[2])


def test_a_new_instrument_in_a_file_is_priced(sample_book: Any, tmp_path: Path) -> None:
    session = xm.Session(xm.run(**sample_book(20), market=xm.sample_market()))
    names = [name for name in ("ZTM26", "UBM26", "SR3U28") if name not in session.instruments]
    account = session.accounts[0]
    file = written(tmp_path / "q.csv", *(f"{account},{name},5" for name in names))
    answered = xm.answer_questions(session, file)
    assert len(answered.answers) == len(names) > 0
    assert set(names) < set(session.instruments)


def test_a_file_without_rows_or_columns_is_unusable(session: xm.Session, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="questions: has no rows"):
        xm.answer_questions(session, written(tmp_path / "q.csv"))
    with pytest.raises(InputError, match="column `quantity` is missing"):
        xm.answer_questions(
            session, written(tmp_path / "q.csv", "A,B", header="account,instrument")
        )
    file = written(tmp_path / "q.csv", "NOBODY,ZNU26,5")
    answered = xm.answer_questions(session, file)
    assert len(answered.answers) == 0
    assert answered.answers.to_arrow().schema.equals(IMPACTS.arrow)
