"""Input tables of the programme's day: offset rates from elsewhere, and the exchange's reports.

Of the reports' columns only `BusDate`, `Cycle` and `Run` are public. The other headers are ours,
with what others are likely to call them beside.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crossmargin.book.schemas import Column, Schema
from crossmargin.conventions import CYCLES

_ACCOUNT = Column("account", required=True, meaning="An account of the run.")
_RATE = Column(
    "offset_rate",
    "number",
    required=True,
    low=0.0,
    high=1.0,
    meaning="The share that both clearing houses take off, 0 to 1.",
)
# Without codes: one bad cell makes the table unusable. A row set aside would be an account that
# silently keeps another rate.
OFFSET_RATES = Schema("offset_rates", (_ACCOUNT, _RATE))
LAST_GOOD = Schema(
    "last_good",
    (
        _ACCOUNT,
        _RATE,
        Column("day", "date", required=True, meaning="The day on which both gave it."),
        Column("cycle", "choice", required=True, choices=CYCLES, meaning="The margin cycle."),
    ),
)


@dataclass(frozen=True)
class Report:
    """A report of the exchange, or a table of ours in its place.

    Attributes
    ----------
    name : str
    columns : tuple of Column
    headers : dict of str to tuple of str
        What each column may be called, in lower-case letters and digits.
    marks : tuple of set of str
        It is this report if of each set one column is there.
    unit : str
        Unit of its rates: `percent` or `share`.
    """

    name: str
    columns: tuple[Column, ...]
    headers: dict[str, tuple[str, ...]]
    marks: tuple[frozenset[str], ...]
    unit: str = "percent"
    schema: Schema = field(init=False)

    def __post_init__(self) -> None:
        """Make the schema that its rows are read by."""
        object.__setattr__(self, "schema", Schema(self.name, self.columns, account="account"))


PERCENT_ENDS = ("pct", "percent", "percentage")
"""Ends of headers that say that a rate is in percent."""
UNCLEAR_ENDS = ("rate", "factor", "ratio", "share", "fraction", "reduction")
"""Ends of headers of rates that do not say in what unit."""
RATE_HEADERS = {
    "offset_rate_ficc": ("ficcsaving", "ficcsavings", "ficcoffset", "ficcreduction"),
    "offset_rate_cme": ("cmesaving", "cmesavings", "cmeoffset", "cmereduction"),
    "offset_rate": ("applied", "appliedsaving", "appliedoffset", "appliedreduction", "final"),
    "cap": ("cap", "maximum", "max"),
    "minimum": ("minimum", "min", "minimumsaving"),
}
"""The rates of a report: what their headers begin with."""
V_HEADERS = {
    "v_ficc_cash": ("ficccash", "ficccashmargin", "ficcalonecash", "ficcfixedincome"),
    "v_ficc_futures": ("ficcfutures", "ficcfuturesmargin", "ficcalonefutures"),
    "v_ficc_combined": ("ficccombined", "ficccombinedmargin", "ficcportfolio"),
    "v_cme_futures": ("cmefutures", "cmefuturesmargin", "cmealonefutures"),
    "v_cme_cash": ("cmecash", "cmecashmargin", "cmealonecash", "cmefixedincome"),
    "v_cme_combined": ("cmecombined", "cmecombinedmargin", "cmeportfolio"),
}
DUE_HEADERS = {
    "requirement_ficc": (
        "ficcrequirement",
        "ficcmarginrequirement",
        "ficcfinal",
        "ficcfinalmargin",
    ),
    "requirement_cme": ("cmerequirement", "cmemarginrequirement", "cmefinal", "cmefinalmargin"),
    "saving_ficc": ("ficcsaving", "ficcsavings", "ficcsavingusd", "ficcsavingamount"),
    "saving_cme": ("cmesaving", "cmesavings", "cmesavingusd", "cmesavingamount"),
}
WORDS_HEADERS = {"reason": ("reason", "reasoncode", "comment")}
HEAD_HEADERS = {
    "day": ("busdate", "businessdate", "businessdt", "bizdt", "bizdate"),
    "cycle": ("cycle", "cyclecode"),
    "run": ("run", "runnumber", "runid"),
    "account": ("account", "accountid", "acct", "acctid", "xmaccount", "accountnumber"),
}
"""What every report begins with."""

LARGEST_USD = 1e13


def _usd(*names: str) -> tuple[Column, ...]:
    ends = {"low": -LARGEST_USD, "high": LARGEST_USD}
    return tuple(Column(name, "number", code="VALUE_INVALID", **ends) for name in names)  # type: ignore[arg-type]


def _percent(*names: str) -> tuple[Column, ...]:
    return tuple(
        Column(name, "number", code="VALUE_INVALID", low=-1e4, high=1e4, unit="percent")
        for name in names
    )


def _head(required: bool) -> tuple[Column, ...]:
    return (
        Column("day", "date", code="DATE_INVALID", required=required),
        Column("cycle", "choice", code="VALUE_INVALID", required=required, choices=CYCLES),
        Column("run", "number", code="VALUE_INVALID", low=1.0, high=1e9),
        Column("account", code="ACCOUNT_INVALID", required=True),
    )


REASON = Column("reason", code="VALUE_INVALID")
_PERCENT_HEADERS = {
    name: tuple(f"{base}{end}" for base in bases for end in PERCENT_ENDS)
    for name, bases in RATE_HEADERS.items()
}
MARGIN_SAVINGS = Report(
    "XMFICCMARGINSAVINGS",
    (*_head(True), *_usd(*V_HEADERS), *_percent(*RATE_HEADERS), *_usd(*DUE_HEADERS), REASON),
    {**HEAD_HEADERS, **V_HEADERS, **_PERCENT_HEADERS, **DUE_HEADERS, **WORDS_HEADERS},
    (
        frozenset(HEAD_HEADERS["day"]),
        frozenset(
            header
            for headers in (V_HEADERS, _PERCENT_HEADERS, DUE_HEADERS)
            for names in headers.values()
            for header in names
        ),
    ),
)
CUSIP_HEADERS = {"cusip": ("cusip", "cusipid", "cusipnumber")}
POSITION_HEADERS = {
    "position": (
        # Those that say what the unit is come first.
        *("position", "positionpar", "paramount", "par", "facevalue", "face"),
        *("netposition", "quantity", "positionqty", "netquantity"),
    )
}
CUSIP_POSITIONS = Report(
    "XMFICCCUSIP",
    (
        *_head(True),
        Column("cusip", code="INSTRUMENT_UNKNOWN", required=True),
        Column("position", "number", code="QUANTITY_INVALID", required=True),
    ),
    {**HEAD_HEADERS, **CUSIP_HEADERS, **POSITION_HEADERS},
    (frozenset(CUSIP_HEADERS["cusip"]), frozenset(POSITION_HEADERS["position"])),
)
CONTRACT_HEADERS = {
    "product": ("product", "productcode", "contract", "futuresproduct"),
    "month": ("contractmonth", "month", "contractperiod", "maturitymonthyear", "contractmonthyear"),
}
EQUIVALENTS = Report(
    "XMFICCPOSN",
    (
        *_head(True),
        Column("product", code="CONTRACT_UNKNOWN", required=True),
        Column("month", code="CONTRACT_UNKNOWN", required=True),
        Column("position", "number", code="QUANTITY_INVALID", required=True),
    ),
    {**HEAD_HEADERS, **CONTRACT_HEADERS, **POSITION_HEADERS},
    (
        frozenset(CONTRACT_HEADERS["product"]),
        frozenset(CONTRACT_HEADERS["month"]),
        frozenset(POSITION_HEADERS["position"]),
    ),
)
_OWN_USD = (
    *V_HEADERS,
    *("requirement_ficc", "requirement_cme", "other_ficc", "other_cme", "requirement"),
    *("saving_ficc", "saving_cme", "programme_saving"),
)
_OWN_RATES = ("offset_rate_ficc", "offset_rate_cme", "offset_rate")
_OWN = (*_OWN_USD, *_OWN_RATES, "reason")
OWN_TABLE = Report(
    "a table in our columns",
    (
        *_head(False),
        *_usd(*_OWN_USD),
        *(Column(name, "number", code="VALUE_INVALID", low=-1e4, high=1e4) for name in _OWN_RATES),
        REASON,
    ),
    {
        "day": ("asof", "day"),
        "cycle": ("cycle",),
        "account": ("account",),
        **{name: (name.replace("_", ""),) for name in _OWN},
    },
    (
        frozenset({"account"}),
        frozenset(name.replace("_", "") for name in (*_OWN_USD, *_OWN_RATES)),
    ),
    unit="share",
)
REPORTS = (EQUIVALENTS, CUSIP_POSITIONS, MARGIN_SAVINGS, OWN_TABLE)
"""What can be given as observed; the first whose columns are there."""
