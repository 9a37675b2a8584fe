"""The agreement and the requirement of one account, in microseconds.

`agree` and `require` work on columns, which is slow for columns of length one. The functions here
use the same rule, written for plain numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal

from crossmargin.agreement._scalar import settled
from crossmargin.agreement.requirement import AMOUNTS
from crossmargin.agreement.rule import BINDING, REASONS
from crossmargin.margin.portfolios import Flags, Portfolios
from crossmargin.policies import AgreementRules

Alone = tuple[int, int, int, bool, bool, bool]
"""What an account's positions need without a reduction, as `rule.standing_alone` returns it."""

NOTHING: Alone = (0, 0, 0, True, True, True)
# No charges, and nothing at other clearing houses.
_BESIDE = (0, 0, 0, True)

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
    """

    name: str
    eligible: bool
    complete: bool
    terms: tuple[float, float, float]
    elsewhere: Alone = NOTHING


def settle(
    ficc: Portfolios,
    cme: Portfolios,
    no_ficc: Flags,
    no_cme: Flags,
    two_sided: bool,
    client: Client,
    rules: AgreementRules,
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

    Returns
    -------
    dict
        Name, then the columns of `Saving` and `Requirements` as results show them: amounts as
        `decimal.Decimal`, None where unknown or empty.
    """
    rate_ficc, known_ficc, rate_cme, known_cme, rate, binding, capped, reason, amounts = settled(
        ficc,
        cme,
        no_ficc,
        no_cme,
        client.eligible,
        client.complete,
        two_sided,
        client.elsewhere,
        _BESIDE,
        client.terms,
        rules.cap,
        rules.minimum_saving,
    )
    cents, known = amounts
    in_ficc, in_cme, other_ficc, other_cme, _, total, house, saved, alone, saving = cents
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
        "other_ccps": _NO_CENTS,
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
