"""The share each account saves, and how it came about (methodology, section 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Float, Mask, Text
from crossmargin.conventions import CASH, CME, COMBINED, FICC, FUTURES
from crossmargin.margin.portfolios import CcpMargin, any_unknown
from crossmargin.policies import Agreement


@dataclass(frozen=True)
class Saving:
    """The percentage of each account and how it came about, as columns of length A.

    Attributes
    ----------
    offset_rate_ficc, offset_rate_cme : ndarray of float64
        1 - V(combined) / (V(cash) + V(futures)) in each house's own model, as it is.
    known_ficc, known_cme : ndarray of bool
        Whether they exist: every instrument priced, and something to save.
    offset_rate : ndarray of float64
        The share both houses take off, 0 to the cap.
    binding : ndarray of str
        The house whose saving is the smaller one, FICC on a tie; empty where the rate is zero, or
        comes by a table of the policy.
    capped : ndarray of bool
        The cap took over.
    reason : ndarray of str
        Why the rate is zero: NOT_ELIGIBLE, INCOMPLETE, ONE_SIDED, NO_SAVING, BELOW_MINIMUM; else
        empty.
    """

    offset_rate_ficc: Float
    known_ficc: Mask
    offset_rate_cme: Float
    known_cme: Mask
    offset_rate: Float
    binding: Text
    capped: Mask
    reason: Text


def agree(
    ficc: CcpMargin,
    cme: CcpMargin,
    *,
    eligible: Mask,
    complete: Mask,
    two_sided: Mask,
    rules: Agreement,
    reduction: Float | None = None,
) -> Saving:
    """Return the percentage each account's cross-margined requirements are reduced by.

    Parameters
    ----------
    ficc, cme : CcpMargin
        Their first A groups are the accounts.
    eligible, complete, two_sided : ndarray of bool, [A]
        The account may be cross-margined; none of its rows was rejected; it has both cash and
        futures in the cross-margin account.
    rules : Agreement
        The cap and the smallest saving.
    reduction : ndarray of float64, [A], optional
        USD for each house, by a table of the policy instead of the smaller saving.

    Returns
    -------
    Saving

    Notes
    -----
    The rate is min(p_FICC, p_CME), or 2 * reduction / (V_F(cash) + V_C(futures)): a reduction for
    each house, and both together are shared out in proportion to V. At most the cap, and zero if
    not positive or below the minimum.
    """
    accounts = eligible.size
    offset_rate_ficc, known_ficc = _offset(ficc, accounts)
    offset_rate_cme, known_cme = _offset(cme, accounts)
    if reduction is None:
        offered, known = np.minimum(offset_rate_ficc, offset_rate_cme), known_ficc & known_cme
    else:
        apart = ficc.v[:accounts, CASH] + cme.v[:accounts, FUTURES]
        offered, known = np.zeros(accounts), apart > 0.0
        np.divide(2.0 * reduction, apart, out=offered, where=known)
    # The last one set is the first in rank.
    reason = np.full(accounts, "", dtype=object)
    reason[offered < rules.minimum_saving] = "BELOW_MINIMUM"
    reason[offered <= 0.0] = "NO_SAVING"
    reason[~(two_sided & known)] = "ONE_SIDED"
    reason[~complete | any_unknown(ficc, cme, accounts)] = "INCOMPLETE"
    reason[~eligible] = "NOT_ELIGIBLE"
    saves = reason == ""
    offset_rate = np.where(saves, np.minimum(offered, rules.cap), 0.0)
    binds = (offset_rate > 0.0) & (reduction is None)
    return Saving(
        offset_rate_ficc=offset_rate_ficc,
        known_ficc=known_ficc,
        offset_rate_cme=offset_rate_cme,
        known_cme=known_cme,
        offset_rate=offset_rate,
        binding=np.where(
            binds, np.where(offset_rate_ficc <= offset_rate_cme, FICC, CME), ""
        ).astype(object),
        capped=saves & (offered > rules.cap),
        reason=reason,
    )


def _offset(margin: CcpMargin, accounts: int) -> tuple[Float, Mask]:
    """Return 1 - V(combined) / (V(cash) + V(futures)), and where it exists."""
    v = margin.v[:accounts]
    apart = v[:, CASH] + v[:, FUTURES]
    known = (apart > 0.0) & ~margin.unknown[:accounts, COMBINED]
    ratio = np.ones(accounts)
    np.divide(v[:, COMBINED], apart, out=ratio, where=known)
    return 1.0 - ratio, known
