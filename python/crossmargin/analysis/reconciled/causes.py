"""Why an account does not reconcile: rules in order, the first that fits is the likeliest.

A rule sees only what both sides report, so it names what is likely, not what is proved. What is
upstream comes first: other positions change every margin, another margin changes every rate, and
another rate every requirement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Float, Mask, Text

V_FICC = ("v_ficc_cash", "v_ficc_futures", "v_ficc_combined")
V_CME = ("v_cme_cash", "v_cme_futures", "v_cme_combined")
RATES = ("offset_rate_ficc", "offset_rate_cme", "offset_rate")
SAME_FACTOR = 1e-3
"""Ratios that differ by less, relatively, are one factor."""
SLACK = 1e-9
"""Less than any difference between two rates that a report can show."""


@dataclass(frozen=True)
class Facts:
    """What is known of each account, as columns of length A.

    Attributes
    ----------
    ours, observed : mapping of str to ndarray of float64
        By component; NaN where unknown or not reported. Rates as shares; `cap` and `minimum` too.
    broken : mapping of str to ndarray of bool
        By component.
    only_ours, only_observed, set_aside : ndarray of bool
        Who has the account; whether the report has it in rows that cannot be used.
    reason, reason_observed : ndarray of str
        Why a rate is zero; empty if nothing is said.
    lines_differ, lines_aside, cash_known : ndarray of bool
        A reported position differs from ours; a row of positions of the account cannot be used;
        whether all its positions of cash were reported.
    grid : float
        The step on which all reported rates lie; NaN if there is none.
    tolerance_usd, tolerance_rate : float
    """

    ours: Mapping[str, Float]
    observed: Mapping[str, Float]
    broken: Mapping[str, Mask]
    only_ours: Mask
    only_observed: Mask
    set_aside: Mask
    reason: Text
    reason_observed: Text
    lines_differ: Mask
    lines_aside: Mask
    cash_known: Mask
    grid: float
    tolerance_usd: float
    tolerance_rate: float

    @property
    def nothing(self) -> Mask:
        """No account, [A]."""
        return np.zeros(self.only_ours.size, dtype=bool)

    def breaks(self, *names: str) -> Mask:
        """Return where any of these components breaks, [A]."""
        found = self.nothing
        for name in names:
            found = found | self.broken.get(name, self.nothing)
        return found

    def both(self, name: str) -> tuple[Float, Float]:
        """Return a component of ours and as observed; NaN where unknown or not reported."""
        unknown = np.full(self.nothing.size, np.nan)
        return self.ours.get(name, unknown), self.observed.get(name, unknown)

    def agree(self, *names: str) -> Mask:
        """Return where all these components are on both sides, and none breaks, [A]."""
        known = ~self.nothing
        for name in names:
            ours, there = self.both(name)
            known = known & ~np.isnan(ours) & ~np.isnan(there)
        return known & ~self.breaks(*names)


@dataclass(frozen=True)
class Cause:
    """A cause of breaks.

    Attributes
    ----------
    code, meaning : str
    fits : callable
        From the facts to where the cause fits, [A].
    """

    code: str
    meaning: str
    fits: Callable[[Facts], Mask]


def likeliest(facts: Facts, is_break: Mask) -> Text:
    """Return the code of the first cause that fits each account that breaks, [A]; else None."""
    found = np.full(is_break.size, None, dtype=object)
    left = is_break.copy()
    for cause in CAUSES:
        hit = left & cause.fits(facts)
        found[hit] = cause.code
        left &= ~hit
    return found


def _one_sided_there(facts: Facts) -> Mask:
    """Return where theirs lacks cash or futures and ours has both."""
    (cash, cash_there), (futures, futures_there) = map(facts.both, ("v_ficc_cash", "v_cme_futures"))
    empty = ((cash_there == 0.0) & (cash > 0.0)) | ((futures_there == 0.0) & (futures > 0.0))
    said = (facts.reason_observed == "ONE_SIDED") & (facts.reason != "ONE_SIDED")
    return np.asarray(empty | said)


def _one_sided_here(facts: Facts) -> Mask:
    """Return where ours lacks cash or futures and theirs does not."""
    (_, rate), (cash, cash_there) = facts.both("offset_rate"), facts.both("v_ficc_cash")
    futures, futures_there = facts.both("v_cme_futures")
    more = ((cash == 0.0) & (cash_there > 0.0)) | ((futures == 0.0) & (futures_there > 0.0))
    return np.asarray((facts.reason == "ONE_SIDED") & ((rate > 0.0) | more))


def _other_positions(facts: Facts) -> Mask:
    """Return where positions differ, as reported or as the margins suggest.

    Other cash, or other futures, show at both clearing houses. Where all margins of each differ by
    one factor, and the two factors differ, it is rather the models.
    """
    cash = facts.breaks("v_ficc_cash") & facts.breaks("v_cme_cash") & ~facts.cash_known
    futures = facts.breaks("v_ficc_futures") & facts.breaks("v_cme_futures")
    ficc, at_ficc = _factor(facts, V_FICC)
    cme, at_cme = _factor(facts, V_CME)
    models = ficc & cme & (np.abs(at_ficc - at_cme) > SAME_FACTOR * np.abs(at_cme))
    return np.asarray(facts.lines_differ | ((cash | futures) & ~models))


def _models(facts: Facts) -> Mask:
    """Return where margins differ, and it is known that positions do not.

    Cash and futures are the same where either clearing house has the same margin for them.
    """
    cash = facts.cash_known | facts.agree("v_ficc_cash") | facts.agree("v_cme_cash")
    futures = facts.agree("v_ficc_futures") | facts.agree("v_cme_futures")
    return np.asarray(facts.breaks(*V_FICC, *V_CME) & cash & futures)


def _both_models(facts: Facts) -> Mask:
    """Return where margins differ at both clearing houses, and positions do not.

    Also where all margins of each differ by one factor: `_other_positions` has taken one factor
    at both.
    """
    factors = _factor(facts, V_FICC)[0] & _factor(facts, V_CME)[0]
    both = facts.breaks(*V_FICC) & facts.breaks(*V_CME)
    return np.asarray(both & (factors | _models(facts)))


def _factor(facts: Facts, names: tuple[str, ...]) -> tuple[Mask, Float]:
    """Return where all these margins differ by one factor, and the factor."""
    pairs = [facts.both(name) for name in names]
    known = np.logical_and.reduce([(ours > 0.0) & (there > 0.0) for ours, there in pairs])
    ratios = [np.divide(there, ours, out=np.ones(ours.size), where=known) for ours, there in pairs]
    low, high = np.minimum.reduce(ratios), np.maximum.reduce(ratios)
    return known & (high - low <= SAME_FACTOR * high), ratios[0]


def _same_margins(facts: Facts) -> Mask:
    """Return where no margin that is reported differs."""
    return ~facts.breaks(*V_FICC, *V_CME)


def _cap(facts: Facts) -> Mask:
    """Return where the rates differ, and one of them is above the other side's cap."""
    (ours, there), (cap, cap_there) = facts.both("offset_rate"), facts.both("cap")
    over = there > cap + SLACK
    under = (ours > cap_there + SLACK) & (there >= cap_there - SLACK)
    return np.asarray(_same_margins(facts) & facts.breaks("offset_rate") & (over | under))


def _minimum(facts: Facts) -> Mask:
    """Return where one side takes a small saving for none, and the other counts it."""
    ours, there = facts.both("offset_rate")
    minimum, minimum_there = facts.both("minimum")
    here = (ours == 0.0) & (there > 0.0)
    at_theirs = (there == 0.0) & (ours > 0.0)
    small = here & ((there < minimum) | (facts.reason == "BELOW_MINIMUM"))
    small |= at_theirs & ((ours < minimum_there) | (facts.reason_observed == "BELOW_MINIMUM"))
    return np.asarray(_same_margins(facts) & facts.breaks("offset_rate") & small)


def _no_benefit_there(facts: Facts) -> Mask:
    """Return where the applied rate there is zero, and neither saving reported says why."""
    ours, there = facts.both("offset_rate")
    none = facts.breaks("offset_rate") & (there == 0.0) & (ours > 0.0)
    return np.asarray(_same_margins(facts) & none)


def _rounding(facts: Facts) -> Mask:
    """Return where all breaks are as small as the rounding of the reported rates makes them."""
    if np.isnan(facts.grid):
        return facts.nothing
    within = _same_margins(facts) & ~facts.breaks("other_ficc", "other_cme")
    for name in RATES:
        ours, there = facts.both(name)
        within &= ~facts.breaks(name) | (np.abs(there - ours) < facts.grid)
    for ccp, margin in (("ficc", "v_ficc_cash"), ("cme", "v_cme_futures")):
        v, _ = facts.both(margin)
        for name in (f"requirement_{ccp}", f"saving_{ccp}"):
            ours, there = facts.both(name)
            most = v * facts.grid + facts.tolerance_usd
            within &= ~facts.breaks(name) | (np.abs(there - ours) <= most)
    total = np.nansum([facts.both(name)[0] for name in ("v_ficc_cash", "v_cme_futures")], axis=0)
    for name in ("requirement", "programme_saving"):
        ours, there = facts.both(name)
        most = total * facts.grid + facts.tolerance_usd
        within &= ~facts.breaks(name) | (np.abs(there - ours) <= most)
    explained = facts.breaks(
        *RATES,
        *("requirement_ficc", "requirement_cme", "saving_ficc", "saving_cme"),
        *("requirement", "programme_saving"),
    )
    # Where no reported rate differs at all, rounding explains nothing.
    moved = facts.nothing
    for name in RATES:
        ours, there = facts.both(name)
        moved = moved | (np.abs(there - ours) > SLACK)
    return np.asarray(within & explained & moved)


def _other_rate(facts: Facts) -> Mask:
    """Return where rates differ, or by less than a break and it shows in a large requirement."""
    ours, there = facts.both("offset_rate")
    moved = np.abs(there - ours)
    shows, within = facts.nothing, moved > SLACK
    for ccp, margin in (("ficc", "v_ficc_cash"), ("cme", "v_cme_futures")):
        v, _ = facts.both(margin)
        for name in (f"requirement_{ccp}", f"saving_{ccp}"):
            own, seen = facts.both(name)
            shows = shows | facts.breaks(name)
            within &= ~facts.breaks(name) | (np.abs(seen - own) <= v * moved + facts.tolerance_usd)
    follows = facts.agree("offset_rate_ficc", "offset_rate_cme") | facts.agree(*V_FICC, *V_CME)
    told = facts.breaks("offset_rate") & follows
    for rate, margins in (("offset_rate_ficc", V_FICC), ("offset_rate_cme", V_CME)):
        told |= facts.breaks(rate) & facts.agree(*margins)
    small = shows & within & ~facts.breaks(*RATES)
    return np.asarray(_same_margins(facts) & (told | small))


def _charge_outside(facts: Facts) -> Mask:
    """Return where a requirement differs, and neither its margin nor its rate does."""
    found = facts.nothing
    for ccp, margin in (("ficc", "v_ficc_cash"), ("cme", "v_cme_futures")):
        found |= facts.breaks(f"requirement_{ccp}") & facts.agree(margin, "offset_rate")
    return np.asarray(found & _same_margins(facts) & ~facts.breaks(*RATES))


def _outside_programme(facts: Facts) -> Mask:
    """Return where nothing cross-margined that is reported differs, and the rest does."""
    within = facts.breaks(*V_FICC, *V_CME, *RATES, "requirement_ficc", "requirement_cme")
    rest = facts.breaks("requirement") & facts.agree("requirement_ficc", "requirement_cme")
    return np.asarray(~within & (facts.breaks("other_ficc", "other_cme") | rest))


def _too_little(facts: Facts) -> Mask:
    """Return where a margin or rate that would tell is not reported."""
    lacking = facts.nothing
    for name in (*V_FICC, *V_CME, *RATES):
        lacking = lacking | np.isnan(facts.both(name)[1])
    return lacking


CAUSES = (
    Cause(
        "SET_ASIDE",
        "a row of it in the report cannot be used; see the exceptions",
        lambda facts: facts.set_aside | (facts.lines_aside & facts.lines_differ),
    ),
    Cause(
        "NOT_IN_THEIRS",
        "the account has cross-margined positions here and is not in the report",
        lambda facts: facts.only_ours,
    ),
    Cause(
        "NOT_IN_OURS",
        "the account is in the report and not in the run",
        lambda facts: facts.only_observed,
    ),
    Cause(
        "INCOMPLETE_HERE",
        "rows of the account are rejected here, or a position has no price",
        lambda facts: np.asarray(facts.reason == "INCOMPLETE"),
    ),
    Cause(
        "NOT_ELIGIBLE_HERE",
        "the account is not cross-margined here: role, opt-in or membership",
        lambda facts: np.asarray(facts.reason == "NOT_ELIGIBLE"),
    ),
    Cause("ONE_SIDED_THERE", "cash or futures are missing there", _one_sided_there),
    Cause("ONE_SIDED_HERE", "cash or futures are missing here", _one_sided_here),
    Cause(
        "OTHER_POSITIONS",
        "positions differ: as reported, or margins of the same cash or futures differ at both "
        "clearing houses",
        _other_positions,
    ),
    Cause(
        "BOTH_MODELS",
        "margins differ at both clearing houses, and not as other positions would make them",
        _both_models,
    ),
    Cause(
        "FICC_MODEL",
        "margins differ at FICC alone: another level or model there",
        lambda facts: _models(facts) & ~facts.breaks(*V_CME),
    ),
    Cause(
        "CME_MODEL",
        "margins differ at CME alone: another level or model there",
        lambda facts: _models(facts) & ~facts.breaks(*V_FICC),
    ),
    Cause("CAP", "no margin reported differs, and a rate is above the other side's cap", _cap),
    Cause(
        "MINIMUM",
        "no margin reported differs, and one side takes a small saving for none",
        _minimum,
    ),
    Cause(
        "NO_BENEFIT_THERE",
        "no margin reported differs, and no benefit is granted there: late, suspended, or not "
        "eligible",
        _no_benefit_there,
    ),
    Cause(
        "PERCENT_ROUNDING",
        "no margin reported differs, and the rest is what rounding the percentage makes",
        _rounding,
    ),
    Cause(
        "OTHER_RATE",
        "the margins agree and the rates do not: another rule",
        _other_rate,
    ),
    Cause(
        "CHARGE_OUTSIDE",
        "margins and rates agree and the requirement does not: a charge that is not reduced",
        _charge_outside,
    ),
    Cause(
        "OUTSIDE_PROGRAMME",
        "nothing cross-margined that is reported differs, and the rest does",
        _outside_programme,
    ),
    Cause(
        "TOO_LITTLE_REPORTED",
        "margins or rates that would tell why are not reported",
        _too_little,
    ),
    Cause("UNEXPLAINED", "none of the above", lambda facts: ~facts.nothing),
)
"""All causes, in the order in which they are tried."""
