"""The agreement and the requirement of one account, in microseconds.

`agree` and `require` work on columns, which is slow for columns of length one. The functions here
use the same rule, written for plain numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

from crossmargin.agreement._scalar import (
    agreed,
    by_reduction,
    lower_of_models,
    reduced,
    required,
    settled,
    standing_alone,
    together,
)
from crossmargin.agreement.requirement import AMOUNTS
from crossmargin.agreement.rule import BINDING, REASONS
from crossmargin.conventions import ALL, CASH, CME, FICC, FUTURES, OTHER
from crossmargin.exact import cents_of
from crossmargin.margin.portfolios import Flags, Portfolios
from crossmargin.policies import AgreementRules

Alone = tuple[int, int, int, bool, bool, bool]
"""What an account's positions need without a reduction, as `rule.standing_alone` returns it."""

NOTHING: Alone = (0, 0, 0, True, True, True)
Further = tuple[int, bool]
"""Cents due at clearing houses without an agreement, and whether they are known."""
OneCharge = tuple[str, bool, Portfolios]
"""The clearing house of a charge, whether the agreement reduces it, and its amounts, USD."""
Amounts = tuple[tuple[int, ...], tuple[bool, ...]]
"""As `rule.Amounts`."""
Settled = tuple[float, bool, float, bool, float, int, bool, int, Amounts]
"""What `rule.settled` returns."""

_CENT, _NO_CENTS = Decimal("0.01"), Decimal("0.00")
# The caller's decimal context might round.
_EXACT = Context(prec=28)


@dataclass(frozen=True, slots=True)
class Client:
    """What the agreement needs to know about one account.

    Attributes
    ----------
    name : str
    eligible, complete : bool
        Whether it may be cross-margined; whether none of its rows was rejected.
    terms : tuple of float
        The firm's own multiplier, floor and minimum.
    elsewhere : Alone
        What its positions at other clearing firms need.
    further : Further
        What it owes at clearing houses without an agreement.
    """

    name: str
    eligible: bool
    complete: bool
    terms: tuple[float, float, float]
    elsewhere: Alone = NOTHING
    further: Further = (0, True)


def settle(
    ficc: Portfolios,
    cme: Portfolios,
    no_ficc: Flags,
    no_cme: Flags,
    two_sided: bool,
    client: Client,
    rules: AgreementRules,
    charges: Sequence[OneCharge] = (),
    reduction: float | None = None,
) -> dict[str, object]:
    """Return the saving and the requirement of one account; see `agree` and `require`.

    Parameters
    ----------
    ficc, cme, no_ficc, no_cme
        V in both models, and where they are unknown, as in `rule.lower_of_models`.
    two_sided : bool
        The account has both cash and futures in the cross-margin account.
    client : Client
        The account.
    rules : AgreementRules
        The cap and the smallest saving.
    charges : sequence of OneCharge
    reduction : float, optional
        USD at each ccp, by a table of the policy that replaces the smaller saving.

    Returns
    -------
    dict
        Name, then the columns of `Saving` and `Requirements` as results show them: amounts as
        `decimal.Decimal`, None where unknown or empty.
    """
    if charges or reduction is not None:
        found = _step_by_step(
            ficc, cme, no_ficc, no_cme, two_sided, client, rules, charges, reduction
        )
    else:
        # In one call: each takes as long as a dozen additions.
        found = settled(
            ficc,
            cme,
            no_ficc,
            no_cme,
            client.eligible,
            client.complete,
            two_sided,
            client.elsewhere,
            (0, 0, *client.further),
            client.terms,
            rules.cap,
            rules.minimum_saving,
        )
    rate_ficc, known_ficc, rate_cme, known_cme, rate, binding, capped, reason, amounts = found
    cents, known = amounts
    in_ficc, in_cme, other_ficc, other_cme, further, total, house, saved, alone, saving = cents
    usd, cent = _EXACT.multiply, _CENT
    requirement = usd(total, cent)
    # Most firms ask for exactly what the clearing houses ask for.
    terms = requirement if house == total else usd(house, cent)
    row: dict[str, object] = {
        "account": client.name,
        "offset_rate_ficc": rate_ficc if known_ficc else None,
        "offset_rate_cme": rate_cme if known_cme else None,
        "offset_rate": rate,
        "binding": BINDING[binding] or None,
        "capped": capped,
        "reason": REASONS[reason] or None,
        "requirement_ficc": usd(in_ficc, cent),
        "requirement_cme": usd(in_cme, cent),
        # Most accounts have all they hold in the cross-margin account.
        "other_ficc": usd(other_ficc, cent) if other_ficc else _NO_CENTS,
        "other_cme": usd(other_cme, cent) if other_cme else _NO_CENTS,
        "other_ccps": usd(further, cent) if further else _NO_CENTS,
        "requirement": requirement,
        "house_requirement": terms,
        "programme_saving": usd(saved, cent),
        "standalone_requirement": usd(alone, cent),
        "saving": usd(saving, cent),
    }
    if False in known:
        row.update(
            (name, None) for name, is_known in zip(AMOUNTS, known, strict=True) if not is_known
        )
    return row


def alone_with(
    ficc: Portfolios,
    cme: Portfolios,
    no_ficc: Flags,
    no_cme: Flags,
    charges: Sequence[OneCharge],
) -> Alone:
    """Return what positions at one clearing firm need without a reduction, charges included.

    Arguments as in `settle`.
    """
    charged = (
        _charged(charges, FICC, OTHER),
        _charged(charges, CME, OTHER),
        _charged(charges, FICC, ALL) + _charged(charges, CME, ALL),
        *(True, True, True),
    )
    return together(standing_alone(ficc, cme, no_ficc, no_cme), charged)


def _step_by_step(
    ficc: Portfolios,
    cme: Portfolios,
    no_ficc: Flags,
    no_cme: Flags,
    two_sided: bool,
    client: Client,
    rules: AgreementRules,
    charges: Sequence[OneCharge],
    reduction: float | None,
) -> Settled:
    """Return what `settled` does, with charges, and by a table of the policy if there is one."""
    rate_ficc, known_ficc, rate_cme, known_cme, offered, known, lower = lower_of_models(
        ficc, cme, no_ficc, no_cme
    )
    if reduction is not None:
        offered, known, lower = by_reduction(ficc, cme, reduction)
    rate, binding, capped, reason = agreed(
        offered,
        known,
        lower,
        no_ficc,
        no_cme,
        client.eligible,
        client.complete,
        two_sided,
        rules.cap,
        rules.minimum_saving,
    )
    amounts = required(
        rate,
        ficc,
        cme,
        no_ficc,
        no_cme,
        together(alone_with(ficc, cme, no_ficc, no_cme, charges), client.elsewhere),
        (
            _charged(charges, FICC, CASH, rate),
            _charged(charges, CME, FUTURES, rate),
            *client.further,
        ),
        client.terms,
    )
    return rate_ficc, known_ficc, rate_cme, known_cme, rate, binding, capped, reason, amounts


def _charged(
    charges: Sequence[OneCharge], ccp: str, portfolio: int, rate: float | None = None
) -> int:
    """Return the charges on a portfolio, each rounded to the cent; a rate reduces some."""
    total = 0
    for own, reducible, amounts in charges:
        if own == ccp:
            amount = amounts[portfolio]
            if reducible and rate is not None:
                amount = reduced(amount, rate)
            total += cents_of(amount)
    return total
