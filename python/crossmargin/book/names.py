"""Find the accounts, securities, contracts and clearing firms that positions name."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Integer, Mask
from crossmargin.book.rows import Names, Rows
from crossmargin.book.trades import canonical_order, different_numbers
from crossmargin.instruments.contracts import Contract, last_day
from crossmargin.instruments.identifiers import (
    CUSIP_LENGTH,
    canonical_cusip,
    is_plain,
    parse_contract,
)
from crossmargin.instruments.securities import Securities


def find_accounts(rows: Rows, name: Names, known: pa.ChunkedArray) -> Integer:
    """Return the index of each row's account; reject rows of unknown accounts."""
    account = name.index_in(known)
    zeros = _known_with_zeros(known, name.take(np.flatnonzero(account < 0)))
    rows.reject(
        account < 0,
        "ACCOUNT_UNKNOWN",
        lambda i: (
            f"account {name[i]!r} has no usable row in the accounts table; "
            + zeros.get(name[i], "add it")
        ),
    )
    return account


def _known_with_zeros(known: pa.ChunkedArray, unknown: pa.StringArray) -> dict[str, str]:
    """Return advice on unknown names that are known without leading zeros, by name."""
    if not len(unknown):
        return {}
    without = pc.utf8_ltrim(columns.plain(known), characters="0")
    near = pc.is_in(without, value_set=unknown.unique())
    return {
        name.lstrip("0"): f"if it is {name!r}, read the column as text"
        for name in columns.texts(known.filter(near))
        if name.startswith("0")
    }


def resolve_securities(
    rows: Rows,
    cash: Mask,
    securities: Securities,
    as_of: np.datetime64,
    resolved: dict[str, str],
) -> Integer:
    """Return the index of each row's security, -1 for none; add resolved names to `resolved`."""
    instrument = rows.instrument
    number_of = {cusip: number for number, cusip in enumerate(securities.cusip.tolist())}
    place = np.full(len(instrument.different), -1)
    trouble: dict[int, str] = {}
    for number in different_numbers(instrument.number[rows.ok & cash]).tolist():
        text = str(instrument.different[number])
        try:
            cusip = canonical_cusip(text)
        except ValueError as error:
            trouble[number] = str(error)
            continue
        place[number] = number_of.get(cusip, -1)
        if place[number] < 0:
            name = repr(text) if text == cusip else f"{text!r}, taken as {cusip},"
            trouble[number] = (
                f"CUSIP {name} has no usable row in the securities table; {_advice(cusip, as_of)}"
            )
        elif text.strip().upper() != cusip:
            resolved[text] = cusip
    security = np.where(cash, place[instrument.number], -1)
    rows.reject(
        cash & (security < 0), "INSTRUMENT_UNKNOWN", lambda i: trouble[instrument.number[i]]
    )
    return security


def _advice(cusip: str, as_of: np.datetime64) -> str:
    """Return advice on an unknown security."""
    if cusip.isdigit() and len(cusip) < CUSIP_LENGTH:
        return "its leading zeros may be lost"
    with suppress(ValueError):
        return f"if it is the contract {parse_contract(cusip, as_of).symbol}, its kind is future"
    return "add it"


def resolve_contracts(
    rows: Rows, future: Mask, as_of: np.datetime64, resolved: dict[str, str]
) -> tuple[Integer, tuple[Contract, ...]]:
    """Return the index of each row's contract, and the book's contracts in canonical order.

    Resolved names are added to `resolved`.
    """
    instrument = rows.instrument
    found: dict[int, Contract] = {}
    trouble: dict[int, tuple[str, str]] = {}
    for number in different_numbers(instrument.number[rows.ok & future]).tolist():
        text = str(instrument.different[number])
        try:
            contract = parse_contract(text, as_of)
            end = last_day(contract)
        except ValueError as error:
            trouble[number] = ("CONTRACT_UNKNOWN", str(error))
            continue
        if end < as_of:
            name = "its" if text == contract.symbol else f"taken as {contract.symbol}, whose"
            trouble[number] = ("CONTRACT_EXPIRED", f"{text}: {name} last day was {end}")
        else:
            found[number] = contract
            if not is_plain(text, contract, as_of):
                resolved[text] = contract.symbol
    for code in ("CONTRACT_UNKNOWN", "CONTRACT_EXPIRED"):
        wrong = np.zeros(len(instrument.different), dtype=bool)
        wrong[[number for number, (its_code, _) in trouble.items() if its_code == code]] = True
        rows.reject(
            future & wrong[instrument.number],
            code,
            lambda i: trouble[instrument.number[i]][1],
        )
    usable = canonical_order(set(found.values()))
    place = np.full(len(instrument.different), -1)
    place[list(found)] = [usable.index(contract) for contract in found.values()]
    return np.where(future, place[instrument.number], -1), tuple(usable)


def open_contract(text: str, as_of: np.datetime64) -> Contract | None:
    """Return the contract that a name means on a day; None if there is none or it has expired."""
    try:
        contract = parse_contract(text, as_of)
        return None if last_day(contract) < as_of else contract
    except ValueError:
        return None


def other_firms(
    row_firm: pa.ChunkedArray, own: pa.ChunkedArray, row: Integer, account: Integer
) -> tuple[Integer, list[str]]:
    """Return the index of each row's firm if it is not its account's, else -1; and the firms."""
    number, name = columns.ranked(row_firm)
    own_number, own_name = columns.encoded(own)
    owner = columns.integers(pc.index_in(own_name, value_set=columns.text_column(name)))[own_number]
    firm = number[row]
    return np.where(firm == owner[account[row]], -1, firm), name
