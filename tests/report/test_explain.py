"""What `crossmargin explain` prints: only what is paid, by firm where there are several."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.cli.output import output
from crossmargin.report.explain import print_explanation


def at_two_firms(inputs: dict[str, Any]) -> tuple[xm.RunResult, str]:
    """Return a run in which the first account has a future at another firm, too."""
    positions, account = inputs["positions"], inputs["accounts"]["account"][0].as_py()
    wide = positions.to_pylist()
    given = next(r for r in wide if r["kind"] == "future" and r["account"] == account)
    wide = [r for r in wide if r["account"] == account]
    wide += [{**given, "xm": False, "quantity": n, "clearing_firm": firm} for firm, n in FIRMS]
    changed = pa.Table.from_pylist(wide, positions.schema)
    return xm.run(**{**inputs, "positions": changed}), account


FIRMS = (("Elsewhere", 700), ("[bold]Third_[/]", -300))


def printed(told: xm.Explanation, capsys: pytest.CaptureFixture[str]) -> str:
    print_explanation(told, output())
    return capsys.readouterr().out


def table(text: str, title: str) -> list[str]:
    """Return the lines of one printed table."""
    return text[text.index(title) :].split("\n\n")[0].splitlines()


def test_each_firm_has_amounts_of_its_own(
    sample_inputs: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run, account = at_two_firms(sample_inputs)
    told = xm.explain(run, account)
    rows = table(printed(told, capsys), "Over moves of another length")
    heads = " ".join(rows)
    for firm, _ in FIRMS:
        [amount] = [
            row["amount"]
            for row in told.alternatives
            if row["clearing_firm"] == firm
            and (row["ccp"], row["portfolio"], row["component"]) == ("CME", "other", "V")
            and row["definition"] == "moves over 10 days"
        ]
        assert firm in heads
        assert f"{amount:,.0f}" in heads
    assert "at Elsewhere" in told.text


def test_only_what_is_paid_is_taken_apart(
    sample_run: xm.RunResult, capsys: pytest.CaptureFixture[str]
) -> None:
    account = next(r["account"] for r in sample_run.accounts if r["binding"])
    told = xm.explain(sample_run, account)
    text = printed(told, capsys)
    for title in ("What decides each margin", "The scenarios that decide"):
        own = {tuple(line.split()[:2]) for line in table(text, title)[2:]}
        assert own <= {("FICC", "cash"), ("FICC", "other"), ("CME", "futures"), ("CME", "other")}
        assert {("FICC", "cash"), ("CME", "futures")} <= own
    # A year of stress has no last 500 scenarios.
    assert (
        "-"
        in next(
            line for line in table(text, "By another definition") if "last 1,000" in line
        ).split()
    )
    assert "Synthetic FCM" not in table(text, "What decides each margin")[1]
