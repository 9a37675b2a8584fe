"""The agreement and the requirement of one account in plain numbers.

On columns of length one `agree` and `require` spend their time on the columns, and in plain numbers
a call of a built-in takes as long as the arithmetic: hence the straight lines here. They are the
same operations in the same order; the tests hold them equal to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import NamedTuple

from crossmargin.conventions import CME, FICC
from crossmargin.exact import cents_of
from crossmargin.policies import Agreement

Portfolios = tuple[float, float, float, float, float]
"""A number of USD for each portfolio."""
Flags = tuple[bool, bool, bool, bool, bool]
"""A flag for each portfolio."""

_CENT = Decimal("0.01")
# The caller's own context may round.
_EXACT = Context(prec=28)


class Elsewhere(NamedTuple):
    """Whole cents of an account's positions at other clearing firms, and whether they are known."""

    other_ficc: int = 0
    other_cme: int = 0
    all_of_both: int = 0
    knows_other_ficc: bool = True
    knows_other_cme: bool = True
    knows_all: bool = True

    def plus(self, ficc: Portfolios, cme: Portfolios, no_ficc: Flags, no_cme: Flags) -> Elsewhere:
        """Return the same with the positions at one more firm; arguments as in `settle`."""
        *_, other_f, all_f = ficc
        *_, other_c, all_c = cme
        *_, no_other_f, no_all_f = no_ficc
        *_, no_other_c, no_all_c = no_cme
        return Elsewhere(
            self.other_ficc + (0 if no_other_f else cents_of(other_f)),
            self.other_cme + (0 if no_other_c else cents_of(other_c)),
            self.all_of_both
            + (0 if no_all_f else cents_of(all_f))
            + (0 if no_all_c else cents_of(all_c)),
            self.knows_other_ficc and not no_other_f,
            self.knows_other_cme and not no_other_c,
            self.knows_all and not no_all_f and not no_all_c,
        )


@dataclass(frozen=True, slots=True)
class Client:
    """What the agreement has to know of one account.

    Attributes
    ----------
    name : str
    eligible, complete : bool
        May be cross-margined; none of its rows was rejected.
    multiplier, floor, minimum : float
        The firm's own terms.
    elsewhere : Elsewhere
        Its positions at other clearing firms.
    """

    name: str
    eligible: bool
    complete: bool
    multiplier: float
    floor: float
    minimum: float
    elsewhere: Elsewhere


def v_ficc(var: Portfolios, minimum_margin: Portfolios, floor: Portfolios) -> Portfolios:
    """Return V_F of each portfolio: the largest of the three; see `ficc_margin`."""
    cash, futures, both, other, whole = var
    a, b, c, d, e = minimum_margin
    cash = a if a > cash else cash
    futures = b if b > futures else futures
    both = c if c > both else both
    other = d if d > other else other
    whole = e if e > whole else whole
    a, b, c, d, e = floor
    return (
        a if a > cash else cash,
        b if b > futures else futures,
        c if c > both else both,
        d if d > other else other,
        e if e > whole else whole,
    )


def v_cme(hvar: Portfolios, svar: Portfolios | None, x: float) -> Portfolios:
    """Return V_C of each portfolio: x HVaR + (1 - x) SVaR, at least zero; see `cme_margin`."""
    cash, futures, both, other, whole = hvar
    if svar is not None:
        y = 1.0 - x
        a, b, c, d, e = svar
        cash = x * cash + y * a
        futures = x * futures + y * b
        both = x * both + y * c
        other = x * other + y * d
        whole = x * whole + y * e
    return (
        cash if cash > 0.0 else 0.0,
        futures if futures > 0.0 else 0.0,
        both if both > 0.0 else 0.0,
        other if other > 0.0 else 0.0,
        whole if whole > 0.0 else 0.0,
    )


def settle(
    ficc: Portfolios,
    cme: Portfolios,
    no_ficc: Flags,
    no_cme: Flags,
    *,
    two_sided: bool,
    client: Client,
    rules: Agreement,
) -> dict[str, object]:
    """Return what one account is reduced by and has to pay; see `agree` and `require`.

    Parameters
    ----------
    ficc, cme : Portfolios
        V in both models.
    no_ficc, no_cme : Flags
        The portfolio holds an instrument the model does not cover; its V is then meaningless.
    two_sided : bool
        The account has both cash and futures in the cross-margin account.
    client : Client
        The account.
    rules : Agreement
        The cap and the smallest saving.

    Returns
    -------
    dict
        Name, then the columns of `Saving` and `Requirement` as results show them: amounts as
        `decimal.Decimal`, None where unknown or empty.
    """
    cash_f, futures_f, both_f, other_f, all_f = ficc
    cash_c, futures_c, both_c, other_c, all_c = cme
    no_cash_f, no_futures_f, no_both_f, no_other_f, no_all_f = no_ficc
    no_cash_c, no_futures_c, no_both_c, no_other_c, no_all_c = no_cme

    offset_rate_ficc = offset_rate_cme = reason = binding = None
    p, capped = 0.0, False
    apart_f, apart_c = cash_f + futures_f, cash_c + futures_c
    if apart_f > 0.0 and not no_both_f:
        offset_rate_ficc = 1.0 - both_f / apart_f
    if apart_c > 0.0 and not no_both_c:
        offset_rate_cme = 1.0 - both_c / apart_c
    if not client.eligible:
        reason = "NOT_ELIGIBLE"
    elif not client.complete or no_cash_f or no_futures_f or no_cash_c or no_futures_c:
        reason = "INCOMPLETE"
    elif not two_sided or offset_rate_ficc is None or offset_rate_cme is None:
        reason = "ONE_SIDED"
    else:
        smaller = offset_rate_ficc if offset_rate_ficc <= offset_rate_cme else offset_rate_cme
        if smaller <= 0.0:
            reason = "NO_SAVING"
        elif smaller < rules.minimum_saving:
            reason = "BELOW_MINIMUM"
        else:
            binding = FICC if offset_rate_ficc <= offset_rate_cme else CME
            capped = smaller > rules.cap
            p = rules.cap if capped else smaller

    left = 1.0 - p
    there_f, there_c, apart, knows_other_f, knows_other_c, knows_all = client.elsewhere
    due_f = 0 if no_cash_f else cents_of(cash_f * left)
    due_c = 0 if no_futures_c else cents_of(futures_c * left)
    due_other_f = there_f if no_other_f else there_f + cents_of(other_f)
    due_other_c = there_c if no_other_c else there_c + cents_of(other_c)
    requirement = due_f + due_c + due_other_f + due_other_c
    own_terms = client.multiplier * (requirement / 100.0)
    if client.floor > own_terms:
        own_terms = client.floor
    if client.minimum > own_terms:
        own_terms = client.minimum
    house_requirement = cents_of(own_terms)
    programme_saving = (0 if no_cash_f else cents_of(p * cash_f)) + (
        0 if no_futures_c else cents_of(p * futures_c)
    )
    if not no_all_f:
        apart += cents_of(all_f)
    if not no_all_c:
        apart += cents_of(all_c)

    knows_other_f = knows_other_f and not no_other_f
    knows_other_c = knows_other_c and not no_other_c
    knows_programme = not no_cash_f and not no_futures_c
    knows = knows_programme and knows_other_f and knows_other_c
    knows_all = knows_all and not no_all_f and not no_all_c
    usd, cent = _EXACT.multiply, _CENT
    return {
        "account": client.name,
        "offset_rate_ficc": offset_rate_ficc,
        "offset_rate_cme": offset_rate_cme,
        "offset_rate": p,
        "binding": binding,
        "capped": capped,
        "reason": reason,
        "requirement_ficc": None if no_cash_f else usd(due_f, cent),
        "requirement_cme": None if no_futures_c else usd(due_c, cent),
        "other_ficc": usd(due_other_f, cent) if knows_other_f else None,
        "other_cme": usd(due_other_c, cent) if knows_other_c else None,
        "requirement": usd(requirement, cent) if knows else None,
        "house_requirement": usd(house_requirement, cent) if knows else None,
        "programme_saving": usd(programme_saving, cent) if knows_programme else None,
        "standalone_requirement": usd(apart, cent) if knows_all else None,
        "saving": usd(apart - requirement, cent) if knows and knows_all else None,
    }
