"""The offset rate of each account, and how it came about (methodology, section 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.agreement import rule
from crossmargin.arrays import Float, Mask, Text
from crossmargin.margin.portfolios import CcpMargin
from crossmargin.policies import AgreementRules


@dataclass(frozen=True)
class Saving:
    """The offset rate of each account and how it came about, as columns of length A.

    Attributes
    ----------
    offset_rate_ficc, offset_rate_cme : ndarray of float64
        1 - V(combined) / (V(cash) + V(futures)) in each ccp's own model, before any condition.
    known_ficc, known_cme : ndarray of bool
        Whether that share exists: every instrument is priced, and there is margin to save.
    offset_rate : ndarray of float64
        The share that both clearing houses take off, 0 to the cap.
    binding : ndarray of str
        The ccp with the smaller saving, FICC on a tie; empty where the offset rate is zero or comes
        from a table of the policy.
    capped : ndarray of bool
        Whether the cap limits the offset rate.
    reason : ndarray of str
        Why the offset rate is zero: NOT_ELIGIBLE, INCOMPLETE, ONE_SIDED, NO_SAVING, BELOW_MINIMUM;
        else empty.
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
    """Return the offset rate of each account's cross-margined requirements.

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
        USD at each ccp, by a table of the policy that replaces the smaller saving.

    Returns
    -------
    Saving

    Notes
    -----
    The offset rate is the smaller of both models' shares. With a reduction it is
    2 * reduction / (V_F(cash) + V_C(futures)): each clearing house grants the reduction, and their
    sum is spread in proportion to V. It is at most the cap, and zero if it is not positive or is
    below the minimum.
    """
    accounts = eligible.size
    v_ficc, v_cme = ficc.v[:accounts].T, cme.v[:accounts].T
    no_ficc, no_cme = ficc.unknown[:accounts].T, cme.unknown[:accounts].T
    rate_ficc, known_ficc, rate_cme, known_cme, offered, known, lower = rule.lower_of_models(
        v_ficc, v_cme, no_ficc, no_cme
    )
    if reduction is not None:
        offered, known, lower = rule.by_reduction(v_ficc, v_cme, reduction)
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
