"""The seeded books of the benchmarks, and random cubes; `universe` makes the real ones.

Accounts have log-normal numbers of lines and log-normal sizes; instruments are popular in falling
order (1 / (10 + rank)). Three in ten accounts trade the basis (futures against their cash risk),
three in ten the curve (neighbouring lines against each other), and the others neither. One in five
has only cash or only futures. No account is a copy or a multiple of another, except in the variant
that `with_copies` makes. In the variant that `with_hedges` makes, every account is hedged. Accounts
of tier W hold most instruments: they are house accounts, omnibus accounts and prime brokers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from universe import HEADLINE, WIDE, Instruments, Size, real

from crossmargin.arrays import Float, Integer, Mask
from crossmargin.engine import Book

SCENARIOS = 2750
BATCH = 20_000
"""Most accounts that are made at once; tier XL is measured in batches of this size."""
SEED = 20_260
SPREAD = 0.8
"""Standard deviation of the logarithm of an account's number of lines."""


@dataclass(frozen=True)
class Tier:
    """A size of the headline book: accounts, and lines of each on average."""

    name: str
    accounts: int
    lines: int
    size: Size = HEADLINE

    @property
    def wide(self) -> bool:
        """Whether accounts hold most instruments."""
        return 2 * self.lines > self.size.instruments


TIERS = {
    tier.name: tier
    for tier in (
        Tier("S", 300, 40),
        Tier("M", 5_000, 60),
        Tier("L", 20_000, 30),
        Tier("XL", 1_000_000, 12),
        Tier("W", 1_000, 2_000, WIDE),
    )
}


@cache
def random_instruments() -> Instruments:
    """Return instruments of random maturities, as many as the headline universe has."""
    rng = np.random.default_rng([SEED, 1])
    cash, count = HEADLINE.cash, HEADLINE.instruments
    years = rng.choice([2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 30.0], count)
    years[:cash] *= rng.uniform(0.05, 1.0, cash)
    face = np.where(np.arange(count) < cash, 100.0, 100_000.0)
    return Instruments(cash, years, face * 1e-4 * (1.0 - np.exp(-0.04 * years)) / 0.04)


def random_pnl(model: int) -> Float:
    """Return P&L [I x S] of `random_instruments` on the grid of 2^-20 USD.

    Three factors move the curve, and each instrument has moves of its own and convexity.
    """
    rng = np.random.default_rng([SEED, 2, model])
    instruments = random_instruments()
    years = instruments.years
    decay = np.exp(-years / 2.0)
    slope = (1.0 - decay) / (years / 2.0)
    volatility = np.exp(0.4 * rng.standard_normal(SCENARIOS))
    move = 0.3 * rng.standard_t(4, (instruments.count, SCENARIOS))
    for loading, size in ((np.ones_like(years), 5.0), (slope, 4.0), (slope - decay, 4.0)):
        move += loading[:, None] * (size * volatility * rng.standard_t(4, SCENARIOS))
    convexity = 0.5e-4 * years[:, None] * np.square(move)
    pnl = instruments.value[:, None] * (convexity - move)
    return np.rint(pnl * 2.0**20) * 2.0**-20


def noise_pnl(model: int, instruments: Instruments) -> Float:
    """Return P&L [I x S] off the grid: of each instrument its own noise, with fat tails."""
    rng = np.random.default_rng([SEED, 6, model])
    move = 5.0 * rng.standard_t(3, (instruments.count, SCENARIOS))
    return np.asarray(-instruments.value[:, None] * move)


def make_book(
    tier: Tier, *, instruments: Instruments | None = None, segments: int = 2, batch: int = 0
) -> Book:
    """Return at most `BATCH` accounts of a tier; row = account * segments + segment.

    Even segments are cash and odd ones futures. With four (the run's), every account has all four;
    with two, one account in five is one-sided. The instruments are the real ones if none are given.
    """
    instruments = instruments or real(tier.size).instruments
    cash, count = instruments.cash, instruments.count
    available = np.array([cash, count - cash] * (segments // 2))
    rng = np.random.default_rng([SEED, 3, tier.accounts, segments, batch])
    accounts = min(BATCH, tier.accounts - batch * BATCH)
    lengths = _wide_lengths if tier.wide else _lengths
    length = lengths(rng, accounts, tier.lines, available)
    scale = 500.0 * rng.lognormal(0.0, 1.5, accounts)
    style = rng.choice(3, accounts, p=(0.4, 0.3, 0.3))
    rows: list[Integer] = []
    columns: list[Integer] = []
    risks: list[Float] = []
    for segment in range(segments):
        account, column = _choose(rng, length[:, segment], int(available[segment]))
        risk = scale[account] * rng.lognormal(0.0, SPREAD, len(account))
        risk *= rng.choice((-1.0, 1.0), len(account))
        _trade_curve(rng, account, risk, style == 1)
        if segment % 2 == 1:
            _trade_basis(rng, (rows[-1], risks[-1]), (account, risk), style == 2)
        rows.append(account)
        columns.append(column + cash * (segment % 2))
        risks.append(risk)
    row = np.concatenate([account * segments + g for g, account in enumerate(rows)])
    order = np.argsort(row, kind="stable")
    column, risk = np.concatenate(columns)[order], np.concatenate(risks)[order]
    lots = np.maximum(np.rint(np.abs(risk) / instruments.value[column]), 1.0)
    pointer = np.concatenate([[0], np.cumsum(length.ravel())])
    return Book.from_arrays(pointer, column, np.copysign(lots, risk), count)


def batches(tier: Tier) -> Iterator[Book]:
    """Yield the tier in books of `BATCH` accounts."""
    for batch in range(-(-tier.accounts // BATCH)):
        yield make_book(tier, batch=batch)


def with_copies(book: Book, segments: int = 2) -> Book:
    """Return the book with half of its accounts replaced by whole multiples, 1 to 10, of others."""
    rng = np.random.default_rng([SEED, 4])
    accounts = book.rows // segments
    source, multiple = np.arange(accounts), np.ones(accounts)
    copy = rng.permutation(accounts)[: accounts // 2]
    source[copy] = rng.choice(np.setdiff1d(source, copy), len(copy))
    multiple[copy] = rng.choice([1.0, 1.0, 2.0, 5.0, 10.0], len(copy))
    row = (source[:, None] * segments + np.arange(segments)).ravel()
    length = np.diff(book.row_ptr)[row]
    pointer = np.concatenate([[0], np.cumsum(length)])
    element = np.arange(pointer[-1]) + np.repeat(book.row_ptr[row] - pointer[:-1], length)
    lots = book.quantity[element] * np.repeat(np.repeat(multiple, segments), length)
    return Book.from_arrays(pointer, book.column[element], lots, book.columns)


def with_hedges(book: Book, instruments: Instruments) -> Book:
    """Return the accounts that hold cash, each long cash and short futures or the reverse.

    One future for each maturity offsets the cash nearest to it, its basis points within 1%.
    """
    rng = np.random.default_rng([SEED, 5])
    years, value = instruments.years, instruments.value
    maturity, future = np.unique(years[instruments.cash :], return_index=True)
    row = np.repeat(np.arange(book.rows), np.diff(book.row_ptr))
    cash = row % 2 == 0
    # Accounts without cash are left out, and the others are renumbered.
    _, account = np.unique(row[cash] // 2, return_inverse=True)
    accounts = account[-1] + 1
    column = book.column[cash].astype(np.int64)
    distance = np.abs(years[column][:, None] - maturity)
    key = account * maturity.size + distance.argmin(axis=1)
    risk = np.abs(book.quantity[cash]) * value[column]
    wanted = np.bincount(key, risk, accounts * maturity.size)
    hedged = np.flatnonzero(wanted)
    hedge = instruments.cash + future[hedged % maturity.size]
    contracts = np.maximum(np.rint(wanted[hedged] / value[hedge]), 1.0)
    # Contracts are coarse and lots of cash are fine: the cash is fitted to its future.
    offset = np.zeros_like(wanted)
    offset[hedged] = contracts * value[hedge] / wanted[hedged]
    offset *= rng.uniform(0.995, 1.005, offset.size)
    lots = np.maximum(np.rint(risk * offset[key] / value[column]), 1.0)
    side = rng.choice((-1.0, 1.0), accounts)
    new_row = np.concatenate([2 * account, 2 * (hedged // maturity.size) + 1])
    new_column = np.concatenate([column, hedge])
    quantity = np.concatenate([lots * side[account], -contracts * side[hedged // maturity.size]])
    order = np.lexsort((new_column, new_row))
    pointer = np.concatenate([[0], np.cumsum(np.bincount(new_row, minlength=2 * accounts))])
    return Book.from_arrays(pointer, new_column[order], quantity[order], book.columns)


def count_copies(book: Book, segments: int = 2) -> int:
    """Return how many accounts are a multiple of an earlier one, found by two random sums."""
    start = book.row_ptr[:-1:segments]
    rng = np.random.default_rng(0)
    sums = [
        np.add.reduceat(book.quantity * rng.random(book.columns)[book.column], start)
        for _ in range(2)
    ]
    scaled = np.column_stack(sums) / book.quantity[start][:, None]
    return len(start) - len(np.unique(np.round(scaled, 9), axis=0))


def _lengths(rng: np.random.Generator, accounts: int, lines: int, available: Integer) -> Integer:
    """Return the number of lines of each account and segment, [A x G]."""
    segments = available.size
    total = rng.lognormal(np.log(lines) - SPREAD**2 / 2.0, SPREAD, accounts)
    share = rng.dirichlet(np.full(segments, 4.0), accounts)
    least = np.ones((accounts, segments))
    if segments == 2:
        one_sided = rng.random(accounts) < 0.2
        side = rng.integers(0, 2, accounts)
        alone = np.eye(2)[side[one_sided]]
        # At least two lines: accounts with one line would all be multiples of each other.
        share[one_sided], least[one_sided] = alone, 2.0 * alone
    wanted = np.maximum(np.rint(total[:, None] * share), least)
    lengths: Integer = np.minimum(wanted, 2 * available // 3).astype(np.int64)
    return lengths


def _wide_lengths(
    rng: np.random.Generator, accounts: int, lines: int, available: Integer
) -> Integer:
    """Return the same for accounts that hold most instruments: nearly equal shares of them."""
    share = lines / available.sum() * rng.uniform(0.9, 1.1, (accounts, available.size))
    return np.minimum(np.rint(share * available), available).astype(np.int64)


def _choose(rng: np.random.Generator, length: Integer, instruments: int) -> tuple[Integer, Integer]:
    """Return account and instrument of each line, ascending: popular ones first, none twice."""
    popularity = np.cumsum(1.0 / np.arange(10, instruments + 10))
    held = np.zeros((len(length), instruments), dtype=bool)
    missing = length
    while missing.any():
        account = np.repeat(np.arange(len(length)), missing)
        drawn = rng.random(len(account)) * popularity[-1]
        held[account, np.searchsorted(popularity, drawn)] = True
        missing = length - np.count_nonzero(held, axis=1)
    account, instrument = np.nonzero(held)
    return account, instrument


def _trade_curve(rng: np.random.Generator, account: Integer, risk: Float, style: Mask) -> None:
    """Set every second line of the accounts of this style against the line before it."""
    place = np.arange(len(account)) - np.searchsorted(account, account)
    second = np.flatnonzero((place % 2 == 1) & style[account])
    risk[second] = -risk[second - 1] * rng.uniform(0.8, 1.2, len(second))


def _trade_basis(
    rng: np.random.Generator,
    cash: tuple[Integer, Float],
    futures: tuple[Integer, Float],
    style: Mask,
) -> None:
    """Scale the futures of the accounts of this style to offset their cash, roughly."""
    of_cash, of_futures = (np.bincount(a, r, len(style)) for a, r in (cash, futures))
    both = style & (of_cash != 0.0) & (of_futures != 0.0)
    ratio = np.divide(of_cash, of_futures, out=np.ones(len(style)), where=both)
    offset = -np.copysign(np.clip(np.abs(ratio), 0.1, 10.0), ratio)
    factor = np.where(both, offset * rng.uniform(0.9, 1.1, len(style)), 1.0)
    account, risk = futures
    risk *= factor[account]
