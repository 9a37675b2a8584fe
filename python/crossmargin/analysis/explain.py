"""Why an account pays what it pays, for one account of a run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from html import escape

import numpy as np

from crossmargin.analysis.explained import tables
from crossmargin.analysis.explained.alternatives import alternatives
from crossmargin.analysis.explained.asked import ask
from crossmargin.analysis.explained.contributions import Decomposed, decompose
from crossmargin.analysis.explained.curve_alone import curve_alone
from crossmargin.analysis.explained.episodes import episode_losses
from crossmargin.analysis.explained.errors import tail_error
from crossmargin.analysis.explained.requirement import contributions
from crossmargin.analysis.explained.sentences import sentences
from crossmargin.analysis.explained.subset import subset
from crossmargin.analysis.explained.without import without
from crossmargin.calculation.result import RunResult, stages_of
from crossmargin.engine import Execution
from crossmargin.results.shown import shown
from crossmargin.results.table import Table

LEFT_OUT = 10
"""The lines that are left out one at a time: those that add or take off most."""


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why an account pays what it pays.

    In a notebook it shows its sentences and the first rows of its tables.

    Attributes
    ----------
    account : str
    as_of : str
    sentences : tuple of str
        Plain sentences, to be read out.
    components : Table
        What each V is made of, and what decides.
    tails : Table
        The tail scenarios of each VaR: date, tag, P&L, weights.
    contributions : Table
        What positions, products, tenors and legs add to each V.
    positions : Table
        What each line adds to the requirement and to the savings.
    offset : Table
        V of cash, futures and both in each model, the rate without spreads and assumed bases, and
        what binds.
    without : Table
        The requirement and the offset rate without each of the largest lines.
    episodes : Table
        P&L in named episodes.
    errors : Table
        Intervals and standard errors of each VaR and its expected shortfall.
    alternatives : Table
        What other levels, definitions, look-backs and horizons would give.
    """

    account: str
    as_of: str
    sentences: tuple[str, ...]
    components: Table
    tails: Table
    contributions: Table
    positions: Table
    offset: Table
    without: Table
    episodes: Table
    errors: Table
    alternatives: Table

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by name."""
        values = {column.name: getattr(self, column.name) for column in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Table)}

    @property
    def text(self) -> str:
        """The sentences, one a line."""
        return "\n".join(map(shown, self.sentences))

    def __repr__(self) -> str:
        """Return the sentences."""
        return self.text

    def _repr_html_(self) -> str:
        """Return the sentences and the first rows of each table."""
        told = "".join(f"<p>{escape(shown(sentence))}</p>" for sentence in self.sentences)
        parts = (
            f"<h4>{escape(name)}</h4>{table._repr_html_()}" for name, table in self.tables.items()
        )
        title = escape(shown(f"Account {self.account}, {self.as_of}"))
        return f"<h3>{title}</h3>{told}{''.join(parts)}"


def explain(run: RunResult, account: str, *, threads: int | None = None) -> Explanation:
    """Return why an account of a run pays what it pays.

    Parameters
    ----------
    run : RunResult
        From `crossmargin.run` in this process, or from `crossmargin.read_run` with its stages.
    account : str
        One of the run's accounts.
    threads : int, optional
        Default: as many as the process may use.

    Returns
    -------
    Explanation

    Raises
    ------
    TypeError
        `run` is not a run.
    ValueError
        The run has no stages, or no such account.

    Notes
    -----
    Methodology, section "Explanations". The figures are the run's own, to the cent; contributions
    sum to them.

    Examples
    --------
    >>> print(explain(run, "ACC1").text)  # doctest: +SKIP
    """
    if not isinstance(run, RunResult):
        raise TypeError(f"run: a run, from xm.run(...), expected, got {type(run).__name__}")
    asked = ask(stages_of(run), account, Execution(threads))
    decomposed = decompose(asked)
    found, described = contributions(asked, decomposed), asked.described
    priced = subset(asked)
    losses = episode_losses(asked, priced, _horizons(decomposed))
    others = alternatives(asked, decomposed, priced)
    alone = curve_alone(asked)
    errors = {
        (number, component): tail_error(tail)
        for number, one in enumerate(decomposed)
        if one.known
        for component, tail in one.tails.items()
    }
    order = np.argsort(-np.abs(found.requirement[:-1]), kind="stable")
    return Explanation(
        account=account,
        as_of=str(asked.as_of),
        sentences=sentences(
            asked,
            decomposed,
            found,
            described,
            losses,
            others,
            errors,
            alone,
            synthetic=bool(run.manifest["synthetic"]),
        ),
        components=tables.components_table(asked, decomposed),
        tails=tables.tails_table(asked, decomposed),
        contributions=tables.contributions_table(asked, decomposed, described),
        positions=tables.positions_table(asked, found, described),
        offset=tables.offset_table(asked, alone),
        without=tables.without_table(asked, without(asked, order[:LEFT_OUT]), described),
        episodes=tables.episodes_table(losses),
        errors=tables.errors_table(asked, decomposed, errors),
        alternatives=tables.alternatives_table(asked, others),
    )


def _horizons(decomposed: list[Decomposed]) -> list[int]:
    """Return one day, and the length of the models' moves."""
    own = {part.horizon for one in decomposed for part, _ in one.parts if part.horizon}
    return sorted({1, *own})
