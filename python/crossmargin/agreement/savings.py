"""The share each account saves, and how it came about (methodology, section 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.agreement import rule
from crossmargin.arrays import Float, Mask, Text
from crossmargin.conventions import CASH, FUTURES
from crossmargin.margin.portfolios import CcpMargin
from crossmargin.policies import AgreementRules


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
    rules: AgreementRules,
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
    rules : AgreementRules
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
    v_ficc, v_cme = ficc.v[:accounts].T, cme.v[:accounts].T
    no_ficc, no_cme = ficc.unknown[:accounts].T, cme.unknown[:accounts].T
    rate_ficc, known_ficc, rate_cme, known_cme, offered, known, lower = rule.lower_of_models(
        v_ficc, v_cme, no_ficc, no_cme
    )
    if reduction is not None:
        apart = v_ficc[CASH] + v_cme[FUTURES]
        offered, known = np.zeros(accounts), apart > 0.0
        np.divide(2.0 * reduction, apart, out=offered, where=known)
        lower = np.full(accounts, rule.NEITHER)
    rate, binding, capped, reason = rule.agreed(
        offered,
        known,
        lower,
        no_ficc,
        no_cme,
        eligible,
        complete,
        two_sided,
        rules.cap,
        rules.minimum_saving,
    )
    return Saving(
        offset_rate_ficc=rate_ficc,
        known_ficc=known_ficc,
        offset_rate_cme=rate_cme,
        known_cme=known_cme,
        offset_rate=rate,
        binding=np.array(rule.BINDING, dtype=object)[binding],
        capped=capped,
        reason=np.array(rule.REASONS, dtype=object)[reason],
    )
