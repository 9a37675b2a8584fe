"""Average daily volumes and open interest of futures, by contract or by root."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from crossmargin.book.schemas import VOLUMES
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import roots
from crossmargin.instruments.identifiers import parse_contract


def read_volumes(
    table: pa.Table, *, as_of: np.datetime64
) -> tuple[dict[str, float], dict[str, float]]:
    """Return average daily volume and open interest, by contract (`ZNM25`) or root.

    Parameters
    ----------
    table : pyarrow.Table
        Typed, as `io.parse` returns it.
    as_of : datetime64[D]
        Gives the decade of a one-digit year.

    Returns
    -------
    volume, open_interest : dict of str to float
        Contracts a day, and contracts. A row may lack the open interest.

    Raises
    ------
    InputError
        A name is neither a contract nor a root, or appears twice; the message names the row.
    """
    volume: dict[str, float] = {}
    open_interest: dict[str, float] = {}
    for number, text, adv, is_open in zip(
        table["row"].to_pylist(),
        table["contract"].to_pylist(),
        table["adv"].to_pylist(),
        table["open_interest"].to_pylist(),
        strict=True,
    ):
        name = text.strip().upper()
        if name not in roots():
            try:
                name = parse_contract(text, as_of).symbol
            except ValueError as error:
                raise InputError(
                    f"{VOLUMES.name}, row {number}: {error}, or a root alone"
                ) from None
        if name in volume:
            raise InputError(f"{VOLUMES.name}, row {number}: {name} has an earlier row; keep one")
        volume[name] = adv
        if is_open is not None:
            open_interest[name] = is_open
    return volume, open_interest
