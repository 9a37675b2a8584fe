"""The options of the command's subcommands, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def _input(text: str) -> Any:
    """Return an option that names an input file."""
    return typer.Option(
        help=text,
        metavar="FILE",
        show_default=False,
        rich_help_panel="Input (CSV, Parquet or Excel)",
    )


PositionsFile = Annotated[
    list[Path] | None,
    _input(
        "account, kind (cash, repo, reverse, future), instrument, quantity, xm; and where "
        "they apply settle_date, start_date, end_date, repo_rate, start_cash, failed, "
        "clearing_firm, given_up, ccp. Or a report of the exchange or of a back office as it "
        "comes. May be given several times, such as FICC's and the exchange's."
    ),
]
AccountsFile = Annotated[
    Path | None,
    _input(
        "account, origin (house, customer), ficc_role, opted_in, clearing_firm; optional "
        "customer, multiplier, floor, minimum, omnibus, risk_profile, house_model. Other columns "
        "are carried to the results."
    ),
]
SecuritiesFile = Annotated[
    Path | None,
    _input(
        "cusip, coupon_pct, issue_date, maturity_date; optional type, first_coupon_date, "
        "price, resold_as, outstanding. Or the Treasury's auction results, or its list of the "
        "public debt, as they come."
    ),
]
ParYieldsFile = Annotated[
    list[Path] | None,
    _input(
        "The official Treasury download (CSV or XML) or FRED's as it comes, or date, 1mo, ..., "
        "30y; percent. May be given several times, such as a file a year."
    ),
]
AsOf = Annotated[
    str | None,
    typer.Option(help="The day the book is margined for, YYYY-MM-DD.", show_default=False),
]
FirmsFile = Annotated[
    Path | None,
    _input("clearing_firm, broker_dealer, fcm, cme_member, ficc_member."),
]
BasisFile = Annotated[
    Path | None,
    _input(
        "date, root, contract, basis. Without it the policy's basis_process is assumed; without "
        "that too, hedges look better than they are."
    ),
]
SettlementsFile = Annotated[
    Path | None,
    _input(
        "date, contract, price of Treasury futures, today's and earlier: give the basis by "
        "our own model price."
    ),
]
FixingsFile = Annotated[
    Path | None,
    _input(
        "date, index (SOFR, EFFR), rate_pct. Or the New York Fed's or FRED's download as it comes."
    ),
]
SofrFile = Annotated[
    Path | None,
    _input(
        "date, 1mo, ..., 30y (some of them): swap rates against SOFR, percent. Without it "
        "short-rate futures move with Treasury yields, and with the funds rate if the policy has "
        "short_rates."
    ),
]
SpreadsFile = Annotated[
    Path | None,
    _input(
        "date, group, spread_pct: yield spreads of groups of securities over the curve, for a "
        "policy with the table spreads. Without it they are drawn."
    ),
]
PolicyName = Annotated[
    str | None,
    typer.Option(
        help="Policy file (TOML), or the name of a shipped one, instead of the default.",
        metavar="FILE|NAME",
        show_default=False,
    ),
]
FiccCubeFile = Annotated[
    Path | None,
    _input("Your own P&L for FICC: instrument and a column for each scenario, USD."),
]
CmeCubeFile = Annotated[Path | None, _input("Your own P&L for CME; goes with --ficc-cube.")]
SpanFile = Annotated[
    Path | None,
    _input(
        "SPAN risk parameters (.pa2), for a policy whose cme.model is span, or that has "
        "equivalents.from_span_file."
    ),
]
VolumesFile = Annotated[
    Path | None,
    _input(
        "contract (or root), adv, for a policy that charges concentration or has "
        "equivalents.minimum_volume; optional open_interest: larger positions are noted."
    ),
]
ObservedMarginsFile = Annotated[
    Path | None,
    _input(
        "instrument (root or contract), date, maintenance (USD): CME's own margins, set beside the "
        "model's; a policy may scale the model to them."
    ),
]
DepositsFile = Annotated[
    Path | None,
    _input(
        "account, ccp (FICC, CME), value (USD after haircuts): what is on deposit. An account "
        "without a row has nothing on deposit."
    ),
]
Cycle = Annotated[str, typer.Option(help="Margin cycle of the day: ITD, CUR, EOD or EODXM.")]
ColumnsFile = Annotated[
    Path | None,
    typer.Option(
        help="What our columns are called in your files, with units (TOML).",
        metavar="FILE",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option(help="Directory for the results; earlier results there are replaced."),
]
UseSample = Annotated[
    bool, typer.Option("--sample", help="Run the embedded synthetic market and book.")
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Threads; default: what this process may use."),
]
MaxRejected = Annotated[
    int | None,
    typer.Option(min=0, help="Write nothing and exit 2 if more rows are rejected."),
]
AllowEmpty = Annotated[
    bool,
    typer.Option("--allow-empty", help="Margin even a book without a usable row; else exit 2."),
]
