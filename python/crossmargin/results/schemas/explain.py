"""The tables of an explanation."""

from __future__ import annotations

from dataclasses import replace

from crossmargin.results.schema import DATE, FLAG, NUMBER, TEXT, WHOLE, Column, Schema
from crossmargin.results.schemas.run import COMPONENTS, POSITIONS
from crossmargin.results.schemas.shared import ANY_UNPRICED, FIRM, NO_RATE, SAVING, UNPRICED, amount
from crossmargin.results.table import MONEY

_EXPLAINED_V = (
    FIRM,
    COMPONENTS["ccp"],
    replace(COMPONENTS["portfolio"], meaning="As in components; only those with positions."),
)
"""Which V a row of an explanation is about."""

EXPLAIN_COMPONENTS = Schema(
    "explain_components",
    (
        *_EXPLAINED_V,
        replace(COMPONENTS["component"], meaning="As in components, without charges."),
        replace(COMPONENTS["amount"], meaning="As in components."),
        Column(
            "weight",
            NUMBER,
            "The component's share in V: zero where another one decides, 1 for `V` itself. `MMA` "
            "contains the haircut amount where there is one.",
        ),
        Column("decides", FLAG, "Whether the weight is not zero; false for `V` itself."),
    ),
)

EXPLAIN_TAILS = Schema(
    "explain_tails",
    (
        *_EXPLAINED_V,
        Column("component", TEXT, "The VaR whose tail it is."),
        Column("rank", WHOLE, "1 for the worst scenario; the last rank is the VaR."),
        Column("scenario", TEXT, "The date on which the move ends, or the name in your own cube."),
        Column("tag", TEXT, "`stress` or `look-back`.", null="the scenario has no date"),
        Column("pnl", NUMBER, "P&L of the margin portfolio; a loss is negative.", "USD"),
        Column(
            "weight",
            NUMBER,
            "The scenario's weight in V: the component's weight for the last rank, else zero.",
        ),
        Column("es_weight", NUMBER, "Its weight in the expected shortfall at the same level."),
    ),
)

EXPLAIN_CONTRIBUTIONS = Schema(
    "explain_contributions",
    (
        *_EXPLAINED_V,
        Column("level", TEXT, "`position`, `product`, `tenor` or `leg`. Each level sums to V."),
        Column(
            "item",
            TEXT,
            "The instrument; root or type of security; bucket of remaining years; `cash` or "
            "`futures`. `not decomposed` is what the model does not share out.",
        ),
        Column(
            "amount",
            MONEY,
            "What it adds to V. A VaR's part is the loss in its tail scenario.",
            "USD",
            UNPRICED,
            "ours",
        ),
        Column(
            "smoothed",
            MONEY,
            "The same, with a VaR's part as a mean over neighbouring scenarios, scaled to V.",
            "USD",
            UNPRICED,
            "ours",
        ),
        Column(
            "expected_shortfall",
            MONEY,
            "What it adds to the expected shortfall of the deciding VaRs, each times its weight.",
            "USD",
            f"no VaR decides, or {UNPRICED}",
            "ours",
        ),
    ),
)

EXPLAIN_POSITIONS = Schema(
    "explain_positions",
    (
        replace(FIRM, null="`not decomposed`"),
        replace(POSITIONS["segment"], null="`not decomposed`"),
        Column("instrument", TEXT, "As in positions; `not decomposed` for what cannot be shared."),
        replace(POSITIONS["kind"], null="`not decomposed`"),
        Column("product", TEXT, "Root, or type of security.", null="`not decomposed`"),
        Column(
            "tenor",
            TEXT,
            "Bucket of remaining years, as in FICC's floor. A Treasury future has those of its "
            "cheapest security, a short-rate future those to its month.",
            null="`not decomposed`",
        ),
        Column("leg", TEXT, "`cash` or `futures`.", null="`not decomposed`"),
        replace(POSITIONS["quantity"], null="`not decomposed`"),
        amount(
            "requirement",
            "What the line adds to `requirement`, with the offset rate moving with the positions.",
            ANY_UNPRICED,
            "ours",
        ),
        amount(
            "at_fixed_rate",
            "What it adds to `requirement` at the offset rate as it is.",
            ANY_UNPRICED,
            "ours",
        ),
        amount("programme_saving", "What it adds to `programme_saving`.", ANY_UNPRICED, "ours"),
        amount(
            "standalone_requirement",
            "What it adds to `standalone_requirement`.",
            ANY_UNPRICED,
            "ours",
        ),
    ),
)

EXPLAIN_OFFSET = Schema(
    "explain_offset",
    (
        Column("ccp", TEXT, "`FICC` or `CME`."),
        Column("v_cash", NUMBER, "Its V of the cross-margined cash.", "USD", UNPRICED),
        Column(
            "v_futures", NUMBER, "This model's V of the cross-margined futures.", "USD", UNPRICED
        ),
        Column(
            "v_combined",
            NUMBER,
            "This model's V of the cross-margined cash and futures together.",
            "USD",
            UNPRICED,
        ),
        Column(
            "offset_rate",
            NUMBER,
            "1 - combined / (cash + futures) in this model.",
            null=NO_RATE,
        ),
        Column(
            "offset_rate_curve_alone",
            NUMBER,
            "The same rate without the policy's spreads and assumed bases: securities and futures "
            "without a basis history move with the curve alone.",
            null=f"{NO_RATE}; or the policy has no such tables, or the P&L is your own",
            evidence="ours",
        ),
        Column("binds", FLAG, "Whether the offset rate is this one."),
        Column("capped", FLAG, "Whether it binds and the cap limits it."),
    ),
)

EXPLAIN_WITHOUT = Schema(
    "explain_without",
    (
        FIRM,
        POSITIONS["segment"],
        POSITIONS["instrument"],
        POSITIONS["quantity"],
        Column("offset_rate", NUMBER, "The account's offset rate without the line."),
        replace(SAVING[3], meaning="What binds without the line."),
        replace(SAVING[5], meaning="Why the offset rate is zero without the line."),
        amount("requirement", "The account's requirement without the line.", ANY_UNPRICED),
        amount(
            "difference",
            "That minus today's requirement; negative if the account pays less without the line.",
            ANY_UNPRICED,
        ),
    ),
)

EXPLAIN_EPISODES = Schema(
    "explain_episodes",
    (
        Column("episode", TEXT, "Its name."),
        Column("first", DATE, "Its first day."),
        Column("last", DATE, "Its last day."),
        Column("source", TEXT, "What the month is remembered for.", evidence="ours"),
        Column("horizon", WHOLE, "Length of the move.", "business days"),
        Column("leg", TEXT, "`cash`, `futures` or `both`; only those that are held."),
        Column("covered", TEXT, "How far the history covers it: `whole`, `part` or `none`."),
        Column(
            "date",
            DATE,
            "The day on which the worst move ends.",
            null="the P&L is null",
        ),
        Column(
            "pnl",
            NUMBER,
            "P&L of today's positions in the worst move that ends in the episode.",
            "USD",
            "the history has no such move, or an instrument has no price",
        ),
    ),
)

EXPLAIN_ERRORS = Schema(
    "explain_errors",
    (
        *_EXPLAINED_V,
        Column("component", TEXT, "The VaR."),
        Column("measure", TEXT, "`VaR`, or `ES` at the same level."),
        Column("amount", NUMBER, "The measure.", "USD"),
        Column(
            "lower",
            NUMBER,
            "Lower end of the interval of the VaR, an order statistic.",
            "USD",
            "`ES`, or there are too few scenarios",
        ),
        Column(
            "upper",
            NUMBER,
            "Upper end.",
            "USD",
            "`ES`, or there are too few scenarios beyond the VaR",
        ),
        Column(
            "coverage",
            NUMBER,
            "Probability that the interval holds the quantile, if scenarios are independent: 95% "
            "or a little more.",
            null="an end is null",
        ),
        Column(
            "standard_error", NUMBER, "By a bootstrap of single scenarios.", "USD", evidence="ours"
        ),
        Column(
            "block_error",
            NUMBER,
            "By a bootstrap of blocks of consecutive scenarios, for moves that overlap.",
            "USD",
            evidence="ours",
        ),
        Column("block", WHOLE, "Scenarios in a block."),
        Column("samples", WHOLE, "Samples of each bootstrap."),
    ),
)

EXPLAIN_ALTERNATIVES = Schema(
    "explain_alternatives",
    (
        *_EXPLAINED_V,
        Column("component", TEXT, "The VaR that is measured otherwise; `V` for a horizon."),
        Column("kind", TEXT, "`definition`, `look-back` or `horizon`."),
        Column("definition", TEXT, "In words."),
        Column("in_use", FLAG, "Whether it is the model's own."),
        Column(
            "amount",
            NUMBER,
            "What it would be.",
            "USD",
            "there are too few scenarios, the history is too short, or the P&L is your own and has "
            "one horizon",
        ),
    ),
)

EXPLAINED = (
    EXPLAIN_COMPONENTS,
    EXPLAIN_TAILS,
    EXPLAIN_CONTRIBUTIONS,
    EXPLAIN_POSITIONS,
    EXPLAIN_OFFSET,
    EXPLAIN_WITHOUT,
    EXPLAIN_EPISODES,
    EXPLAIN_ERRORS,
    EXPLAIN_ALTERNATIVES,
)
"""The tables of an explanation."""
