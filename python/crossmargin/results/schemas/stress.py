"""The tables of a reverse stress."""

from __future__ import annotations

from crossmargin.results.schema import DATE, NUMBER, TEXT, WHOLE, Column, Schema

_TENORS = ("2", "5", "10", "30")


def _basis_points(what: str, null: str = "") -> tuple[Column, ...]:
    """Return the columns of a move of the Treasury curve at the tenors that desks look at."""
    return tuple(
        Column(f"bp_{name}", NUMBER, f"{what} of the {name}-year zero rate.", "bp", null)
        for name in _TENORS
    )


_NO_MOVE = "no such move was found; `reason` says why"

STRESS_MOVES = Schema(
    "stress_moves",
    (
        Column(
            "move",
            TEXT,
            "`mildest` of the first components together; `component 1 up` and so on; `one "
            "scenario`; `mixture`.",
        ),
        Column(
            "standard_deviations",
            NUMBER,
            "Mahalanobis length: of components among these, of scenarios among all factors.",
            null=_NO_MOVE,
        ),
        Column(
            "multiple",
            NUMBER,
            "How many times the scenario, or the mixture with weights that sum to one.",
            null=f"it is a move of components, or {_NO_MOVE}",
        ),
        *_basis_points("Change", _NO_MOVE),
        Column("loss", NUMBER, "Loss of all lines by full revaluation.", "USD", _NO_MOVE),
        Column("loss_ficc", NUMBER, "The part of it at FICC.", "USD", _NO_MOVE),
        Column("loss_cme", NUMBER, "The part of it at CME.", "USD", _NO_MOVE),
        Column("loss_other_ccps", NUMBER, "At other clearing houses.", "USD", _NO_MOVE),
        Column("reason", TEXT, "Why there is no such move.", null="there is one"),
    ),
)

STRESS_SCENARIOS = Schema(
    "stress_scenarios",
    (
        Column("move", TEXT, "`one scenario` or `mixture`."),
        Column("date", DATE, "The end date of the scenario's move."),
        Column("tag", TEXT, "`stress` for a date in a period of stress.", null="it is in none"),
        Column("weight", NUMBER, "Its share of the mixture."),
    ),
)

STRESS_COMPONENTS = Schema(
    "stress_components",
    (
        Column("component", WHOLE, "From 1, the largest first."),
        Column("share", NUMBER, "Its share of the summed mean squares of the zero rates."),
        *_basis_points("One standard deviation"),
    ),
)
