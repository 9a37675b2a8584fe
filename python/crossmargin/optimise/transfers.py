"""Transfers as they are booked: a buy and a sell for each, as a table, as positions, as FIXML.

Methodology, section 9.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import Any
from xml.sax.saxutils import escape

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
IN_QUOTES = {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#09;"}
"""What is written otherwise in the value of an attribute, besides what is everywhere."""


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
    priced = {contract: _price(contract, price) for contract, price in (prices or {}).items()}
    held = transfers["instrument"].to_pylist()
    unpriced = sum(contract not in priced for contract in held)
    root = {"run_id": manifest["run_id"], "id": name}
    if manifest["synthetic"]:
        root["synthetic"] = "true"
    if unpriced:
        root["unpriced"] = str(unpriced)
    # Text, and no tree of elements: a book has tens of thousands of transfers.
    dates = f'TrdDt="{as_of}" BizDt="{as_of}"'
    contract_of = {
        contract: (
            f' LastPx="{priced[contract]}"' if contract in priced else "",
            _tag("Instrmt", _instrument(contract, as_of)),
        )
        for contract in dict.fromkeys(held)
    }
    reports = []
    for number, (contract, account, contracts, *sides) in enumerate(
        zip(
            held,
            *(transfers[column].to_pylist() for column in ("account", "contracts")),
            *(transfers[f"{side}_side"].to_pylist() for side in ("cross_margin", "ordinary")),
            strict=True,
        ),
        1,
    ):
        price, instrument = contract_of[contract]
        party = _tag("Pty", {"ID": _writable(account), "Src": OWN_NAME, "R": POSITION_ACCOUNT})
        both = "".join(
            f"""        <RptSide Side="{FIX_SIDE[side]}">
          <{party}>
            <Sub ID="{kind}" Typ="{POSITION_ACCOUNT_TYPE}" />
          </Pty>
        </RptSide>
"""
            for kind, side in zip((CROSS_MARGIN, ORDINARY), sides, strict=True)
        )
        reports.append(
            f"""      <TrdCaptRpt RptID="{name}-{number}" TransTyp="{NEW}" RptTyp="{SUBMIT}" \
TrdTyp="{TRANSFER}" {dates} LastQty="{contracts}"{price}>
        <{instrument} />
{both}      </TrdCaptRpt>
"""
        )
    inside = f">\n{''.join(reports)}    </Batch>" if reports else " />"
    return f"""<?xml version='1.0' encoding='utf-8'?>
<{_tag("transfers", root)}>
  <{_tag("cycle", {"date": as_of, "code": manifest["cycle"]})} />
  <FIXML xmlns="{FIXML_NAMESPACE}">
    <Batch TotMsg="{len(transfers)}"{inside}
  </FIXML>
</transfers>
""".encode()


def _tag(name: str, attributes: Mapping[str, str]) -> str:
    """Return an element's name and attributes, as between the brackets of its tag."""
    quoted = (f' {key}="{escape(value, IN_QUOTES)}"' for key, value in attributes.items())
    return f"{name}{''.join(quoted)}"


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
