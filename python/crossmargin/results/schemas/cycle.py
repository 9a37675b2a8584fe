"""The files of a cycle, laid out as the exchange lays out its reports.

Of the exchange's headers only BusDate, Cycle and Run are public; all others are ours.
"""

from __future__ import annotations

from crossmargin.results.schema import NUMBER, TEXT, WHOLE, Column, Schema
from crossmargin.results.table import MONEY

_NO_MODEL = "CME's model does not cover the security, or its P&L was given"
_UNPRICED = "the clearing house's model does not price an instrument in it"
_NO_RATE = f"{_UNPRICED}, or cash and futures are both zero"

_HEAD = (
    Column("BusDate", TEXT, "The day, mm/dd/yyyy.", evidence="confirmed"),
    Column("Cycle", TEXT, "`ITD`, `CUR`, `EOD` or `EODXM`.", evidence="confirmed"),
    Column("Run", WHOLE, "The run of the cycle, from 1.", evidence="confirmed"),
    Column("Account", TEXT, "As in the accounts given."),
)


def _usd(name: str, meaning: str, null: str = _UNPRICED) -> Column:
    return Column(name, MONEY, meaning, "USD", null)


def _percent(name: str, meaning: str, null: str = "") -> Column:
    return Column(name, NUMBER, meaning, "percent", null)


CUSIP_REPORT = Schema(
    "XMFICCCUSIP",
    (
        *_HEAD,
        Column("CUSIP", TEXT, "The security."),
        Column("Coupon", NUMBER, "A year.", "percent"),
        Column("MaturityDate", TEXT, "mm/dd/yyyy."),
        Column(
            "Position",
            WHOLE,
            "Net of all cross-margined legs at FICC that are open, long positive. A repo that has "
            "not started nets to nothing.",
            "USD of face",
        ),
    ),
)

POSITION_REPORT = Schema(
    "XMFICCPOSN",
    (
        *_HEAD,
        Column("CUSIP", TEXT, "The security, as in XMFICCCUSIP."),
        Column("Product", TEXT, "The root of the contract that stands for it.", null=_NO_MODEL),
        Column("ContractMonth", TEXT, "Its delivery month, YYYYMM.", null=_NO_MODEL),
        Column(
            "Position",
            NUMBER,
            "The futures-equivalent in CME's model, long positive. What an account has in one "
            "contract is the sum of its rows.",
            "contracts",
            _NO_MODEL,
        ),
    ),
)

SAVINGS_REPORT = Schema(
    "XMFICCMARGINSAVINGS",
    (
        *_HEAD,
        _usd("FICCCash", "FICC-like margin of the cross-margined cash."),
        _usd("FICCFutures", "FICC-like margin of the cross-margined futures."),
        _usd("FICCCombined", "FICC-like margin of both together."),
        _percent(
            "FICCSavingPct",
            "100 (1 - FICCCombined / (FICCCash + FICCFutures)), of amounts that are not rounded.",
            _NO_RATE,
        ),
        _usd("CMEFutures", "CME-like margin of the cross-margined futures."),
        _usd("CMECash", "CME-like margin of the cross-margined cash."),
        _usd("CMECombined", "CME-like margin of both together."),
        _percent(
            "CMESavingPct",
            "100 (1 - CMECombined / (CMEFutures + CMECash)), of amounts that are not rounded.",
            _NO_RATE,
        ),
        Column(
            "Source",
            TEXT,
            "Where the percentage comes from. `LOWER`: OfferedPct is the smaller of FICCSavingPct "
            "and CMESavingPct. `TABLE`: it comes from the policy's tables. `GIVEN`: AppliedPct was "
            "given, such as by a fallback, and does not follow from the row.",
        ),
        _percent("OfferedPct", "Before cap, minimum and reason.", f"{_NO_RATE}; or `GIVEN`"),
        _percent("CapPct", "The most that is applied."),
        _percent("MinimumPct", "The least that is applied."),
        _percent(
            "AppliedPct",
            "Zero if there is a Reason, else the smaller of OfferedPct and CapPct.",
        ),
        Column(
            "Binding",
            TEXT,
            "`FICC` or `CME`: the one with the smaller saving; FICC on a tie.",
            null="AppliedPct is zero, or not the smaller saving",
        ),
        Column(
            "Reason",
            TEXT,
            "Why AppliedPct is zero, as in accounts: `NO_SAVING` where OfferedPct is not positive, "
            "`BELOW_MINIMUM` where it is under MinimumPct, the others before these.",
            null="AppliedPct is not zero",
        ),
        _usd("FICCCharges", "Charges on the cash, after the percentage where it reduces them."),
        _usd("CMECharges", "The same on the futures."),
        _usd(
            "FICCRequirement",
            "FICCCash (1 - AppliedPct / 100) + FICCCharges; by these columns to within a cent, "
            "since FICCCash is not rounded before.",
        ),
        _usd("CMERequirement", "The same for the futures at CME."),
        _usd("FICCSaving", "FICCCash AppliedPct / 100; to within a cent."),
        _usd("CMESaving", "CMEFutures AppliedPct / 100; to within a cent."),
    ),
)

CYCLE_FILES = (CUSIP_REPORT, POSITION_REPORT, SAVINGS_REPORT)
