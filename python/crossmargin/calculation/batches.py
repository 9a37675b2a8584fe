"""Some of the accounts of a netted book, to be margined by themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.agreement.clients import Clients
from crossmargin.arrays import Integer
from crossmargin.conventions import SEGMENTS
from crossmargin.engine import Book
from crossmargin.margin.portfolios import rows_of


@dataclass(frozen=True)
class Batch:
    """What the stages after netting need of some accounts.

    Attributes
    ----------
    book : Book
        Rows are group * 4 + segment; the first A groups are the accounts.
    elsewhere : dict of str to Book
        By clearing house outside the programme; rows are groups.
    clients : Clients
        The accounts behind the groups.
    """

    book: Book
    elsewhere: dict[str, Book]
    clients: Clients

    def take(self, accounts: Integer) -> Batch:
        """Return some accounts with their groups at all clearing firms.

        Parameters
        ----------
        accounts : ndarray of int64, [N]
            Numbers of the accounts, in any order; one may be there more than once.

        Returns
        -------
        Batch
            [N] accounts, in that order.
        """
        clients = self.clients
        own = clients.eligible.size
        # Groups at other firms come after the accounts' own; find those of each account.
        owner = clients.group_account[own:]
        order = np.argsort(owner, kind="stable")
        first = np.searchsorted(owner, accounts, side="left", sorter=order)
        count = np.searchsorted(owner, accounts, side="right", sorter=order) - first
        at = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
        groups = np.concatenate([accounts, own + order[at]])
        width = len(SEGMENTS)
        rows = (groups[:, None] * width + np.arange(width)).ravel()
        return Batch(
            book=rows_of(self.book, rows),
            elsewhere={ccp: rows_of(book, groups) for ccp, book in self.elsewhere.items()},
            clients=Clients(
                eligible=clients.eligible[accounts],
                complete=clients.complete[accounts],
                multiplier=clients.multiplier[accounts],
                floor=clients.floor[accounts],
                minimum=clients.minimum[accounts],
                group_account=np.concatenate(
                    [np.arange(accounts.size), np.repeat(np.arange(accounts.size), count)]
                ),
            ),
        )
