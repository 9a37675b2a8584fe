"""Calm markets: how V of outrights compares with margins in force, and which parameters fit."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tools.calibration.outrights import Outrights, losses, outrights, past
from tools.calibration.pages import style, svg, table

from crossmargin.arrays import Dates, Float, Mask
from crossmargin.market.history import History
from crossmargin.policies import CmeFloor, Policy, read_policy

OUTRIGHTS = "cme_outright_margins.csv"
ROOTS = ("ZT", "ZF", "ZN", "ZB")
FIRST, LAST = np.datetime64("2010-01-01"), np.datetime64("2021-11-30")
WEEK = 5
EPISODES = (
    ("August 2011", "2011-04-01", "2012-06-30"),
    ("summer of 2013", "2013-04-01", "2014-06-30"),
    ("2019", "2018-10-01", "2019-12-31"),
    ("March 2020", "2019-12-01", "2020-12-31"),
)
CALMER = EPISODES[:-1]
FULL = 1e6
"""A buffer so large that volatility is never below that of the look-back."""
DECAYS, BUFFERS, WEIGHTS = (
    (0.97, 0.98, 0.985, 0.99),
    (0.0, 0.25, 0.4, FULL),
    (0.7, 0.75, 0.8, 0.85, 0.9),
)

Found = Mapping[str, Float]
"""V of the outrights [D x R], USD, by policy."""


def fragment(policies: Sequence[str], data: Path) -> tuple[str, dict[str, str]]:
    """Return how V of outrights compares with margins in force, as Markdown and as a figure.

    Parameters
    ----------
    policies : sequence of str
        The policy before and the policy after.
    data : Path
        A folder with the par yields and the outright margins.

    Returns
    -------
    markdown : str
    figures : dict of str to str
        SVG by file name.
    """
    rules = {name: read_policy(name) for name in policies}
    history = past(data, LAST)
    day = history.date[history.date >= FIRST]
    months, weeks = last_of_months(day), day[::WEEK]
    monthly, weekly = (
        mixed(outrights(history, rules, when, ROOTS), rules) for when in (months, weeks)
    )
    actual = in_force(data, months), in_force(data, weeks)
    parts = [
        "### Calm markets",
        _by_root(monthly, actual[0], months),
        _candidates(rules[policies[-1]], history, months, actual[0]),
        _episodes(weekly, actual[1], weeks),
        _coverage(weekly, losses(history, weeks, ROOTS, WEEK)),
    ]
    return "\n\n".join(parts) + "\n", {"margins.svg": _figure(weekly, actual[1], weeks)}


def mixed(found: Mapping[str, Outrights], rules: Mapping[str, Policy]) -> dict[str, Float]:
    """Return V by each policy's weight, [D x R]."""
    return {name: one.v(rules[name].cme.historical_weight) for name, one in found.items()}


def last_of_months(date: Dates) -> Dates:
    """Return the last day of each month."""
    month = date.astype("datetime64[M]")
    last: Dates = date[np.append(month[1:] != month[:-1], True)]
    return last


def in_force(data: Path, date: Dates) -> Float:
    """Return maintenance margins, USD, [D x R]; NaN after the last entry of a root."""
    found = np.full((date.size, len(ROOTS)), np.nan)
    with (data / OUTRIGHTS).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for column, root in enumerate(ROOTS):
        mine = [row for row in rows if row["root"] == root]
        since = np.array([row["effective"] for row in mine], dtype="datetime64[D]")
        usd = np.array([float(row["maintenance_usd"]) for row in mine])
        known = (date >= since[0]) & (date <= since[-1])
        found[known, column] = usd[np.searchsorted(since, date[known], side="right") - 1]
    return found


def halves(date: Dates) -> Iterator[tuple[str, Mask]]:
    """Yield odd and even years, and which days they hold."""
    even = (date.astype("datetime64[Y]").astype(np.int64) + 1970) % 2 == 0
    yield "odd", ~even
    yield "even", even


def _spread(v: Float, actual: Float) -> tuple[int, float, float]:
    """Return how many are known, the median of model over actual, and the sd of its logarithm."""
    known = ~np.isnan(v) & ~np.isnan(actual)
    log = np.log(v[known] / actual[known])
    return int(known.sum()), float(np.exp(np.median(log))), float(log.std())


def _by_root(found: Found, actual: Float, date: Dates) -> str:
    """Return median and spread of model over actual by root, in odd and in even years."""
    rows = []
    for years, mine in halves(date):
        columns = [(root, slice(n, n + 1)) for n, root in enumerate(ROOTS)]
        for root, column in [*columns, ("all", slice(None))]:
            cells = [years, root]
            for number, v in enumerate(found.values()):
                count, median, spread = _spread(v[mine, column], actual[mine, column])
                cells += [f"{count}"] * (number == 0) + [f"{median:.2f}", f"{spread:.3f}"]
            rows.append(cells)
    heads = [head for name in found for head in (f"{name}: median", "dispersion")]
    return (
        "V of one contract over the maintenance margin in force, at the ends of months. Dispersion "
        "is the standard deviation of the ratio's logarithm.\n\n"
        + table(["years", "root", "months", *heads], rows)
    )


def _error(v: Float, actual: Float) -> float:
    """Return the root mean square of log ratios, each root counting alike."""
    square = np.log(v / actual) ** 2
    return float(np.sqrt(np.nanmean(square, axis=0).mean()))


def _candidates(policy: Policy, history: History, date: Dates, actual: Float) -> str:
    """Return how other parameters fit: for each decay and buffer the weight that fits best."""
    variants = {
        (decay, buffer): replace(
            policy, cme=replace(policy.cme, volatility_decay=decay)
        ).with_sections(CmeFloor(buffer))
        for decay in DECAYS
        for buffer in BUFFERS
    }
    names = {f"{decay} {buffer}": one for (decay, buffer), one in variants.items()}
    found = outrights(history, names, date, ROOTS)
    (_, odd), (_, even) = halves(date)
    rows = []
    for decay, buffer in variants:
        one = found[f"{decay} {buffer}"]
        fit = {weight: _error(one.v(weight)[odd], actual[odd]) for weight in WEIGHTS}
        weight = min(fit, key=lambda each: fit[each])
        v = one.v(weight)
        rows.append(
            [
                f"{decay:g}",
                "up to the look-back's" if buffer == FULL else f"{buffer:.0%}",
                f"{weight:g}",
                f"{fit[weight]:.3f}",
                f"{_error(v[even], actual[even]):.3f}",
                f"{_spread(v[even], actual[even])[2]:.3f}",
                *(
                    f"{_error_of_rises(v, actual, date, some):.3f}"
                    for some in (CALMER, EPISODES[-1:])
                ),
            ]
        )
    head = ["decay", "buffer", "weight of HVaR that fits odd years best"]
    head += ["error, odd years", "error, even years", "dispersion, even years"]
    head += ["error of rises before 2020", "in 2020"]
    return (
        "The same comparison for other parameters. The error is the root mean square of the "
        "ratio's logarithm, each root counting alike. That of rises takes the ratio of the rises "
        "below, between ends of months.\n\n" + table(head, rows)
    )


def _rises(v: Float, actual: Float, mine: Mask) -> Iterator[tuple[str, float, float]]:
    """Yield how far V and the margin in force of each root rose in an episode."""
    for column, root in enumerate(ROOTS):
        known = mine & ~np.isnan(actual[:, column])
        yield root, rise(v[known, column]), rise(actual[known, column])


def _within(date: Dates, first: str, last: str) -> Mask:
    return np.asarray((date >= np.datetime64(first)) & (date <= np.datetime64(last)))


def _error_of_rises(
    v: Float, actual: Float, date: Dates, episodes: Sequence[tuple[str, str, str]]
) -> float:
    """Return the root mean square of the log ratios of rises, over episodes and roots."""
    ratio = [
        ours / real
        for _, first, last in episodes
        for _, ours, real in _rises(v, actual, _within(date, first, last))
    ]
    return float(np.sqrt(np.mean(np.log(ratio) ** 2)))


def _episodes(found: Found, actual: Float, date: Dates) -> str:
    """Return the peak over the trough before it, in the model and in force."""
    rows = []
    for name, first, last in EPISODES:
        each = [list(_rises(v, actual, _within(date, first, last))) for v in found.values()]
        for same in zip(*each, strict=True):
            root, _, real = same[0]
            rows.append([name, root, f"{real:.2f}", *(f"{ours:.2f}" for _, ours, _ in same)])
    return (
        "How far margin rose: the largest value over the smallest before it, by week.\n\n"
        + table(["episode", "root", "in force", *found], rows)
    )


def rise(value: Float) -> float:
    """Return the largest ratio of a value to one before it."""
    return float((value / np.minimum.accumulate(value)).max())


def _coverage(found: Found, loss: Float) -> str:
    """Return the share of one-day moves that lose more than V, for long and short contracts."""
    rows = []
    for column, root in enumerate(ROOTS):
        # A move is a loss of the long or of the short contract.
        moves = 2 * int((~np.isnan(loss[:, column])).sum())
        beyond = [(np.abs(loss[:, column]) > v[:, column, None]).sum() for v in found.values()]
        rows.append([root, f"{moves:,}", *(f"{count / moves:.2%}" for count in beyond)])
    return (
        "Daily moves of the five days after each week's V that lose more than it, of one long "
        "or one short contract; 1% is what 99% leaves.\n\n" + table(["root", "moves", *found], rows)
    )


def _figure(found: Found, actual: Float, date: Dates) -> str:
    """Return V and the margin in force over time, by root, as SVG."""
    with style("margins"):
        figure = Figure(figsize=(9.0, 8.0), layout="constrained")
        when = date.astype(object)
        for column, axes in enumerate(figure.subplots(4, 1, sharex=True)):
            axes.step(when, actual[:, column], "k", where="post", label="in force", linewidth=1.4)
            for name, v in found.items():
                axes.plot(when, v[:, column], label=name, linewidth=0.9)
            axes.set_ylabel(f"{ROOTS[column]}, USD")
            axes.set_ylim(bottom=0.0)
            axes.grid(alpha=0.3)
        figure.axes[0].legend(frameon=False, ncols=3)
        figure.axes[0].set_title("Maintenance margin of one contract, and V")
        return svg(figure)
