"""VaR, expected shortfall and their scenarios for each account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import numpy as np

from crossmargin.arrays import Float, Int32, Integer
from crossmargin.engine.arguments import TailArrays, Unions
from crossmargin.engine.arrays import integers, whole
from crossmargin.engine.backends import kernels, resolve
from crossmargin.engine.book import Book
from crossmargin.engine.cube import Cube, Measure
from crossmargin.engine.executor import check_threads, run_blocks
from crossmargin.engine.faults import NONE, PnlError

BLOCK_WORK = 200_000_000
"""Multiply-adds in a block of accounts; it takes under 50 milliseconds, so Ctrl-C acts soon."""
BLOCKS_A_THREAD = 8
SMALLEST_BLOCK = 64
"""Fewest accounts in a block; the C++ kernels have their own number."""


@dataclass(frozen=True, eq=False)
class Tails:
    """The tail of each row of a book.

    Attributes
    ----------
    var : ndarray of float64 [A]
        Value at risk, USD, loss positive; negative if even the tail is a gain.
    es : ndarray of float64 [A]
        Expected shortfall, USD, loss positive; never below `var`.
    scenario : ndarray of int32 [A x k]
        Indices of the tail's scenarios in the cube, worst first.
    weight : ndarray of float64 [k]
        The weight of each in ES: ones, and w - (k - 1) last; ES is their sum over w.
    """

    var: Float
    es: Float
    scenario: Int32
    weight: Float


@dataclass(frozen=True, eq=False)
class SegmentTails:
    """The tails of each account in each union of its segments under each measure.

    Attributes
    ----------
    var : ndarray of float64 [A x U x M]
        As in `Tails`.
    es : ndarray of float64 [A x U x M], or None
        As in `Tails`; None if not wanted.
    scenario : tuple of ndarray of int32 [A x U x k], or None
        One array for each measure; None if not wanted.
    weight : tuple of ndarray of float64 [k]
        One array for each measure.
    """

    var: Float
    es: Float | None
    scenario: tuple[Int32, ...] | None
    weight: tuple[Float, ...]


def tails(
    book: Book,
    cube: Cube,
    *,
    level: float = 0.99,
    threads: int | None = None,
    backend: str = "auto",
) -> Tails:
    """Return the tail of every row of a book.

    Parameters
    ----------
    book : Book
        Quantities [A x I].
    cube : Cube
        P&L [I x S], USD.
    level : float
        Confidence level, strictly between 0 and 1.
    threads : int, optional
        All the process may use if not given.
    backend : {"auto", "native", "numba", "reference"}
        They give the same bits.

    Returns
    -------
    Tails

    Raises
    ------
    ValueError
        The book has instruments that the cube lacks, an argument is bad, or a sum of P&L is not
        finite; the message names the account and the scenario.

    Notes
    -----
    Methodology, section 1: with w = (1 - level) * S and k = max(1, ceil(w)), VaR is the k-th
    largest loss; ES is the sum of the k largest, the last weighted by w - (k - 1), over w.

    Examples
    --------
    >>> book = Book.from_arrays([0, 1], [0], [2])
    >>> cube = Cube([[-3.0, 1.0, -1.0, 4.0]])
    >>> tail = tails(book, cube, level=0.5)
    >>> tail.var, tail.es, tail.scenario
    (array([2.]), array([4.]), array([[0, 2]], dtype=int32))
    """
    result = segment_tails(
        book,
        [Measure(cube, level)],
        segments=1,
        unions=[[0]],
        threads=threads,
        backend=backend,
        scenarios=True,
    )
    assert result.scenario is not None
    assert result.es is not None
    return Tails(
        result.var[:, 0, 0], result.es[:, 0, 0], result.scenario[0][:, 0, :], result.weight[0]
    )


def segment_tails(
    book: Book,
    measures: Sequence[Measure],
    *,
    segments: int,
    unions: Sequence[Sequence[int]],
    threads: int | None = None,
    backend: str = "auto",
    es: bool = True,
    scenarios: bool = False,
) -> SegmentTails:
    """Return the tails of every account in unions of its segments, each netted as one portfolio.

    Parameters
    ----------
    book : Book
        Quantities; row = account * segments + segment.
    measures : sequence of Measure
        The M measures.
    segments : int
        Segments G of each account.
    unions : sequence of sequence of int
        The U unions, each a non-empty set of segments.
    threads : int, optional
        All the process may use if not given.
    backend : {"auto", "native", "numba", "reference"}
        They give the same bits.
    es : bool
        Also return the expected shortfalls; VaR alone takes less time.
    scenarios : bool
        Also return the scenarios of each tail.

    Returns
    -------
    SegmentTails

    Raises
    ------
    ValueError
        The number of rows is not a multiple of `segments`, a union is not a set of segments, or the
        book has instruments that a cube lacks; the message names them.
    PnlError
        A ValueError: a sum of P&L is not finite. Message and attributes give the account, union,
        measure and scenario.

    Notes
    -----
    Methodology, section 1. The quantities of an instrument in the segments of a union are added
    first; the positions then in ascending instrument order, so the result is the same bit for bit
    on and off the grid.
    """
    return _measure(
        book,
        measures,
        segments=segments,
        unions=unions,
        threads=threads,
        backend=backend,
        es=es,
        scenarios=scenarios,
    )


def segment_tails_batches(
    books: Iterable[Book],
    measures: Sequence[Measure],
    *,
    segments: int,
    unions: Sequence[Sequence[int]],
    threads: int | None = None,
    backend: str = "auto",
    es: bool = True,
    scenarios: bool = False,
) -> Iterator[SegmentTails]:
    """Yield the tails of a book that comes in batches of accounts, holding one batch at a time.

    Parameters
    ----------
    books : iterable of Book
        Batches of accounts. A batch is requested after the answer before it has been taken, and
        released before its own answer is given. A generator keeps memory small.
    measures, segments, unions, threads, backend, es, scenarios
        As in `segment_tails`.

    Yields
    ------
    SegmentTails
        One for each batch, in order, with the bits of one call with the whole book.

    Raises
    ------
    ValueError
        As `segment_tails`; the message or a note names the batch and its place in the whole book.

    Examples
    --------
    >>> cube = Cube([[-3.0, 1.0, -1.0, 4.0]])
    >>> books = (Book.from_arrays([0, 1], [0], [lots]) for lots in (2, 5))
    >>> answers = segment_tails_batches(books, [Measure(cube, 0.5)], segments=1, unions=[[0]])
    >>> [tails.var.ravel().tolist() for tails in answers]
    [[2.0], [5.0]]
    """
    # Arguments that are wrong for every batch raise before the first one is requested.
    check_threads(threads)
    resolve(backend)
    _union_arrays(unions, segments)
    measure = partial(
        _measure,
        measures=measures,
        segments=segments,
        unions=unions,
        threads=threads,
        backend=backend,
        es=es,
        scenarios=scenarios,
    )
    return _stream(books, measure, segments)


def _stream(
    books: Iterable[Book], measure: Callable[..., SegmentTails], segments: int
) -> Iterator[SegmentTails]:
    """Yield the tails of one batch after the other."""
    batch = before = 0
    try:
        # `enumerate` would hold a batch while the next one is made.
        for book in books:
            answer = measure(book, before=before)
            accounts = book.rows // segments
            del book
            yield answer
            del answer
            batch += 1
            before += accounts
    except PnlError as error:
        place = f"batch {batch}, account {error.account} ({before + error.account} overall)"
        raise PnlError(
            before + error.account, error.union, error.measure, error.scenario, place
        ) from None
    except Exception as error:
        error.add_note(f"in batch {batch}, which begins with account {before} overall")
        raise


def _measure(
    book: Book,
    measures: Sequence[Measure],
    *,
    segments: int,
    unions: Sequence[Sequence[int]],
    threads: int | None,
    backend: str,
    es: bool,
    scenarios: bool,
    before: int = 0,
) -> SegmentTails:
    """Return the tails of a book, or of a batch; `before` counts the accounts before it."""
    accounts = _accounts(book, segments)
    for number, measure in enumerate(measures):
        if not isinstance(measure, Measure):
            raise TypeError(f"measures: Measure(cube, level) expected, got {measure!r:.60}")
        if book.columns > measure.cube.instruments:
            raise ValueError(
                f"book: it has {book.columns} instruments, the cube of measure {number} only "
                f"{measure.cube.instruments}"
            )
    groups = _union_arrays(unions, segments)
    shape = (len(measures), accounts, len(unions))
    var, shortfall = np.empty(shape), np.empty(shape if es else (*shape[:2], 0))
    worst = [np.empty((*shape[1:], m.k if scenarios else 0), dtype=np.int32) for m in measures]
    results = [TailArrays(var[n], shortfall[n], scenario) for n, scenario in enumerate(worst)]

    threads = check_threads(threads)
    kernel, fewest = kernels(backend), SMALLEST_BLOCK
    if resolve(backend) == "native":
        fewest = kernel.SCREENED_ACCOUNTS
        _make_screens(measures, (before + accounts) * len(unions), kernel.level(), threads)

    def block(first: int, last: int) -> None:
        faults = []
        for number, (m, result) in enumerate(zip(measures, results, strict=True)):
            kind, account, union, scenario = kernel.segment_tails(
                first, last, book, groups, m, result
            )
            if kind != NONE:
                at = int(m.cube_scenario(np.array(scenario, dtype=np.int32)))
                faults.append((account, tuple(map(int, unions[union])), number, at))
        if faults:
            # Report the first account over all measures, so that blocks do not change the error.
            raise PnlError(*min(faults, key=lambda fault: fault[0]))

    sums = sum(m.count for m in measures) * len(unions)
    bounds = _cut(book.row_ptr[::segments], sums, threads, fewest)
    run_blocks(block, bounds, threads=threads, unit="accounts")
    return SegmentTails(
        np.moveaxis(var, 0, -1),
        np.moveaxis(shortfall, 0, -1) if es else None,
        tuple(m.cube_scenario(s) for m, s in zip(measures, worst, strict=True))
        if scenarios
        else None,
        tuple(m.weight for m in measures),
    )


def _make_screens(measures: Sequence[Measure], tails: int, level: str, threads: int) -> None:
    """Make side by side the screens that are worth it and have not been made, each once."""
    lacking = [m for m in measures if m.lacks_screen(tails)]
    different = list({(id(m.cube), m.start, m.count): m for m in lacking}.values())

    def make(first: int, last: int) -> None:
        for measure in different[first:last]:
            measure.prepare(tails, level)

    # Most calls find all made: those start no threads.
    if different:
        run_blocks(make, range(len(different) + 1), threads=threads, unit="measures")


def _cut(first_line: Integer, sums: int, threads: int, fewest: int) -> list[int]:
    """Return bounds of blocks of accounts, `fewest` or more each, that take about equal time.

    Blocks of equal numbers of accounts would take unequal time if few accounts hold most lines.
    """
    accounts = len(first_line) - 1
    # One multiply-add for each line and sum, and one for the account's tails.
    total = sums * float(first_line[-1] + accounts)
    smallest = fewest * total / max(1, accounts)
    each = min(BLOCK_WORK, max(smallest, total / (BLOCKS_A_THREAD * threads)))
    blocks = round(total / max(1.0, each))
    if blocks < 2:
        return [0, accounts] if accounts else [0]
    work = first_line + np.arange(accounts + 1)
    inner = np.searchsorted(work, work[-1] * np.arange(1, blocks) / blocks)
    return [int(bound) for bound in np.unique([0, *inner, accounts])]


def _accounts(book: Book, segments: int) -> int:
    """Return the number of accounts in a book that has `segments` rows for each."""
    if not isinstance(book, Book):
        raise TypeError(f"book: a crossmargin.Book expected, got {type(book).__name__}")
    if whole("segments", segments) < 1 or book.rows % segments:
        raise ValueError(
            f"segments: the book's {book.rows} rows are not a whole number of accounts of "
            f"{segments} segments"
        )
    return book.rows // segments


def _union_arrays(unions: Sequence[Sequence[int]], segments: int) -> Unions:
    """Return the unions as checked arrays for the kernels."""
    members = [integers("unions", union, np.int64).tolist() for union in unions]
    for union in members:
        if len(set(union)) != len(union) or not union:
            raise ValueError(f"unions: {union} is empty or names a segment twice")
        if min(union) < 0 or max(union) >= segments:
            raise ValueError(f"unions: {union} names a segment outside 0 to {segments - 1}")
    ptr = np.array([0, *accumulate(map(len, members))], dtype=np.int64)
    member = np.array([g for union in members for g in sorted(union)], dtype=np.int32)
    return Unions(segments, ptr, member)
