"""Transfers as they are booked: a buy and a sell for each, as a table, as positions, as FIXML.

Methodology, section 9.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from crossmargin import columns
from crossmargin.arrays import Mask
from crossmargin.exceptions import InputError
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.io.hashes import table_hash
from crossmargin.results.schemas.allocation import BOOKINGS
from crossmargin.results.tables import stamped

CROSS_MARGIN, ORDINARY = "CROSS_MARGIN", "ORDINARY"
"""The two accounts of a transfer."""
BUY, SELL = "BUY", "SELL"
FIX_SIDE = {BUY: "1", SELL: "2"}
FIXML_NAMESPACE = "http://www.fixprotocol.org/FIXML-5-0-SP2"
"""It says the version: FIX 5.0 SP2. Copies of the schema differ in what the attribute `v` must be,
and none needs it."""
NEW, SUBMIT, TRANSFER = "0", "0", "3"
"""Values of TransTyp, RptTyp and TrdTyp."""
POSITION_ACCOUNT, POSITION_ACCOUNT_TYPE = "38", "26"
"""FIX's role of a party, and the kind of an identifier below it."""
EXCHANGE_SYMBOL, OWN_NAME = "8", "D"
"""FIX's kinds of identifiers of an instrument and of a party."""


def positions_of(transfers: pa.Table) -> pa.Table:
    """Return transfers as rows of the positions input: two for each, which add up to zero.

    Parameters
    ----------
    transfers : pyarrow.Table
        As in `results.schema.TRANSFERS`.
    """
    both = _both(transfers)
    crosses = _crosses(len(transfers))
    contracts = columns.integers(both["contracts"])
    buys = np.array(_sides(transfers), dtype=object) == BUY
    return pa.table(
        {
            "account": columns.plain(both["account"]),
            "kind": columns.text_column(["future"] * len(both)),
            "instrument": columns.plain(both["instrument"]),
            "quantity": columns.column(np.where(buys, contracts, -contracts).astype(np.float64)),
            "xm": columns.column(crosses),
        }
    )


def positions_csv(transfers: pa.Table) -> bytes:
    """Return transfers as a CSV file of the positions input; every text as it is.

    Parameters
    ----------
    transfers : pyarrow.Table
        As in `results.schema.TRANSFERS`.
    """
    # An input: an apostrophe before a name would make it another account.
    sink = pa.BufferOutputStream()
    pacsv.write_csv(positions_of(transfers), sink)
    return bytes(sink.getvalue())


def bookings(transfers: pa.Table, manifest: dict[str, Any]) -> pa.Table:
    """Return the buys and sells that book transfers.

    Parameters
    ----------
    transfers : pyarrow.Table
        As in `results.schema.TRANSFERS`.
    manifest : dict
        Of the allocation: as-of date, cycle and `run_id`.

    Returns
    -------
    pyarrow.Table
        As in `results.schema.BOOKINGS`, two rows for each transfer: the cross-margin account's
        first.
    """
    both = _both(transfers)
    account_type = np.where(_crosses(len(transfers)), CROSS_MARGIN, ORDINARY)
    number = np.arange(len(both)) // 2 + 1
    name = transfers_id(transfers, manifest)
    ids = [f"{name}-{each}" for each in number.tolist()]
    table = BOOKINGS.table(
        {
            "transfer_id": columns.text_column(ids),
            "account": columns.plain(both["account"]),
            "account_type": columns.text_column(account_type.tolist()),
            "side": columns.text_column(_sides(transfers)),
            "contracts": columns.plain(both["contracts"]),
            "instrument": columns.plain(both["instrument"]),
            "moves": columns.plain(both["moves"]),
        }
    )
    return stamped(
        table,
        as_of=np.datetime64(manifest["as_of"]),
        cycle=manifest["cycle"],
        run_id=manifest["run_id"],
    )


def transfers_id(transfers: pa.Table, manifest: dict[str, Any]) -> str:
    """Return a name of some transfers of a run: the same for the same transfers."""
    text = f"{manifest['run_id']} {table_hash(transfers)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fixml(
    transfers: pa.Table, manifest: dict[str, Any], prices: Mapping[str, float] | None = None
) -> bytes:
    """Return transfers as trade capture reports in FIXML: one report with two sides for each.

    Parameters
    ----------
    transfers : pyarrow.Table
        As in `results.schema.TRANSFERS`.
    manifest : dict
        Of the allocation.
    prices : mapping of str to float, optional
        The prices to book at, by contract: the exchange's settlement prices. The standard requires
        one in each report. A report without one has no `LastPx`, and the attribute `unpriced` of
        the root element counts them: the price has to be filled in.

    Raises
    ------
    InputError
        The name of an account has a character that XML cannot hold.
    ValueError
        A price is not a finite number.

    Notes
    -----
    The element FIXML is by the public schema of FIXML 5.0 SP2, in its namespace. Around it is the
    element `cycle`, as the exchange's optimiser writes it. What is ours is how accounts are named:
    no text of the optimiser's transfer report could be read.
    """
    as_of, name = manifest["as_of"], transfers_id(transfers, manifest)
    root = ElementTree.Element("transfers", {"run_id": manifest["run_id"], "id": name})
    if manifest["synthetic"]:
        root.set("synthetic", "true")
    ElementTree.SubElement(root, "cycle", {"date": as_of, "code": manifest["cycle"]})
    priced = {contract: _price(contract, price) for contract, price in (prices or {}).items()}
    unpriced = sum(contract not in priced for contract in transfers["instrument"].to_pylist())
    if unpriced:
        root.set("unpriced", str(unpriced))
    batch = ElementTree.SubElement(
        ElementTree.SubElement(root, "FIXML", {"xmlns": FIXML_NAMESPACE}),
        "Batch",
        {"TotMsg": str(len(transfers))},
    )
    instruments = {
        name: _instrument(name, as_of) for name in transfers["instrument"].unique().to_pylist()
    }
    for number, row in enumerate(transfers.to_pylist(), 1):
        report = ElementTree.SubElement(
            batch,
            "TrdCaptRpt",
            {
                "RptID": f"{name}-{number}",
                "TransTyp": NEW,
                "RptTyp": SUBMIT,
                "TrdTyp": TRANSFER,
                "TrdDt": as_of,
                "BizDt": as_of,
                "LastQty": str(row["contracts"]),
            },
        )
        if row["instrument"] in priced:
            report.set("LastPx", priced[row["instrument"]])
        ElementTree.SubElement(report, "Instrmt", instruments[row["instrument"]])
        for kind, side in (
            (CROSS_MARGIN, row["cross_margin_side"]),
            (ORDINARY, row["ordinary_side"]),
        ):
            of_side = ElementTree.SubElement(report, "RptSide", {"Side": FIX_SIDE[side]})
            named = {"ID": _writable(row["account"]), "Src": OWN_NAME, "R": POSITION_ACCOUNT}
            party = ElementTree.SubElement(of_side, "Pty", named)
            ElementTree.SubElement(party, "Sub", {"ID": kind, "Typ": POSITION_ACCOUNT_TYPE})
    ElementTree.indent(root)
    # Encoded at the end: the writer would encode piece by piece.
    written = ElementTree.tostring(root, encoding="unicode")
    return f"<?xml version='1.0' encoding='utf-8'?>\n{written}\n".encode()


def _instrument(name: str, as_of: str) -> dict[str, str]:
    """Return the attributes of a contract."""
    contract = parse_contract(name, as_of)
    return {
        "Sym": contract.symbol,
        "ID": contract.root,
        "Src": EXCHANGE_SYMBOL,
        "SecTyp": "FUT",
        "MMY": str(contract.month).replace("-", ""),
    }


def _price(contract: str, price: float) -> str:
    """Return a price as the schema has it: digits, without an exponent."""
    if isinstance(price, bool) or not isinstance(price, int | float) or not isfinite(price):
        raise ValueError(f"price of {contract}: a finite number expected, got {price!r:.40}")
    return f"{Decimal(str(price)):f}"


def _writable(text: str) -> str:
    """Return a text that XML can hold; InputError for another."""
    for character in text:
        code = ord(character)
        allowed = 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code >= 0x10000
        if not (allowed or character in "\t\n\r"):
            raise InputError(
                f"account {text!r}: its name has a character that XML cannot hold; rename it"
            )
    return text


def _both(transfers: pa.Table) -> pa.Table:
    """Return each row twice."""
    return transfers.take(columns.column(np.repeat(np.arange(len(transfers)), 2)))


def _crosses(transfers: int) -> Mask:
    """Return for the two rows of each transfer whether it is the cross-margin account's."""
    return np.tile([True, False], transfers)


def _sides(transfers: pa.Table) -> list[str]:
    """Return the sides of both rows of each transfer."""
    one, other = (transfers[f"{name}_side"].to_pylist() for name in ("cross_margin", "ordinary"))
    return [side for pair in zip(one, other, strict=True) for side in pair]
