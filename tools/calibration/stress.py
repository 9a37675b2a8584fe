"""Periods of stress: their moves, and what each makes of the stressed VaR of outrights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tools.calibration.outrights import outrights, past
from tools.calibration.pages import COLOURS, style, svg, table

from crossmargin.arrays import Float
from crossmargin.conventions import CME
from crossmargin.instruments.contracts import roots
from crossmargin.market.curve import NODE_NAMES
from crossmargin.market.history import History
from crossmargin.policies import Policy, Stress, read_policy

AS_OF = np.datetime64("2026-01-30")
NODES = ("2", "5", "10", "30")
LARGE = 3.0
"""A move is large beyond so many root mean squares of the whole history."""


def fragment(policies: Sequence[str], data: Path) -> tuple[str, dict[str, str]]:
    """Return stressed VaRs of outrights by period, as Markdown and as a figure.

    Parameters
    ----------
    policies : sequence of str
        The policy before and the policy after, which has the table `stress`.
    data : Path
        A folder with the par yields.

    Returns
    -------
    markdown : str
    figures : dict of str to str
        SVG by file name.
    """
    before, after = (read_policy(name) for name in policies)
    periods = alone(after)
    history = past(data, AS_OF)
    rules = {policies[0]: before, policies[1]: after, **periods}
    names = roots("treasury")
    found = outrights(history, rules, np.array([AS_OF]), names)
    svar = {name: one.svar.max(axis=0)[0] for name, one in found.items()}
    listed = np.flatnonzero(~np.isnan(svar[policies[0]]))
    rows = []
    for column in listed.tolist():
        by_period = [svar[name][column] for name in periods]
        decides = list(periods)[int(np.argmax(by_period))]
        v = [found[n].v(rules[n].cme.historical_weight)[0, column] for n in policies]
        usd = [svar[policies[0]][column], *by_period]
        rows.append(
            [names[column], *(f"{x:,.0f}" for x in usd), decides, *(f"{x:,.0f}" for x in v)]
        )
    head = ["root", f"SVaR, {policies[0]}", *(f"SVaR, {name}" for name in periods), "decides"]
    parts = [
        "### Periods of stress",
        _moves(history, after),
        f"Stressed VaR and V of one front contract at CME as of {AS_OF}, USD, long or short, "
        "whichever is more.\n\n" + table([*head, *(f"V, {name}" for name in policies)], rows),
    ]
    of_listed = {name: svar[name][listed] / svar[policies[0]][listed] for name in periods}
    figure = _figure([names[n] for n in listed.tolist()], of_listed, policies[0])
    return "\n\n".join(parts) + "\n", {"stress.svg": figure}


def alone(policy: Policy) -> dict[str, Policy]:
    """Return the policy with each of CME's periods by itself, by the period's name."""
    stress = policy.get(Stress)
    assert stress is not None
    return {
        period[1]: policy.with_sections(replace(stress, periods=(period,)))
        for period in stress.periods
        if period[0] == CME
    }


def _moves(history: History, policy: Policy) -> str:
    """Return the days of large moves in each period, and the largest moves."""
    at = [NODE_NAMES.index(node) for node in NODES]
    move = history.zero_rate_change(1)[:, at] * 1e4
    date = history.date[1:]
    large = (np.abs(move) > LARGE * np.sqrt(np.mean(move**2, axis=0))).any(axis=1)
    rows = []
    for name, one in alone(policy).items():
        (window,) = one.scenarios_of(CME).stress
        mine = window.holds(date)
        days = date[mine & large]
        rows.append(
            [
                name,
                f"{window.first} to {window.last}",
                f"{mine.sum()}",
                f"{days.size}, {days[0]} to {days[-1]}",
                *(f"{size:.0f}" for size in np.abs(move[mine]).max(axis=0)),
            ]
        )
    head = ["period", "days", "moves", "large ones", *(f"largest, {node} years" for node in NODES)]
    return (
        f"One-day moves of zero rates, basis points. A move is large beyond {LARGE:g} times the "
        f"root mean square from {history.date[0]} to {AS_OF}, at any of these nodes.\n\n"
        + table(head, rows)
    )


def _figure(names: Sequence[str], share: dict[str, Float], before: str) -> str:
    """Return the stressed VaR by period over that before, by root, as SVG."""
    with style("stress"):
        figure = Figure(figsize=(9.0, 3.6), layout="constrained")
        axes = figure.subplots()
        width = 0.8 / len(share)
        for number, (period, ratio) in enumerate(share.items()):
            at = np.arange(len(names)) + (number - (len(share) - 1) / 2.0) * width
            axes.bar(at, ratio, width, label=period, color=COLOURS[number % len(COLOURS)])
        axes.axhline(1.0, color="k", linewidth=0.8)
        axes.set_xticks(np.arange(len(names)), names)
        axes.set_ylabel(f"SVaR over that of\n{before}")
        axes.legend(frameon=False, ncols=len(share))
        axes.set_title(f"Stressed VaR of one contract by period, {AS_OF}")
        return svg(figure)
