"""The transfers as FIXML, beside the structure of the public schema, by independent readers.

`STRUCTURE` is a table of our own of what the schema of FIXML 5.0 SP2 says on the elements that we
write: which attributes there are, which are required, and of what kind; which elements may follow,
in what order, and how often.
"""

from __future__ import annotations

import importlib
import re
import xml.sax
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat
from xml.sax.handler import ContentHandler, feature_namespaces

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin import columns
from crossmargin.optimise.transfers import fixml
from crossmargin.results.schemas.allocation import TRANSFERS
from crossmargin.results.table import money

NAMESPACE = "http://www.fixprotocol.org/FIXML-5-0-SP2"
MANIFEST = {"run_id": "r-1", "as_of": "2026-06-10", "cycle": "EOD", "synthetic": False}

TEXT = r"[\s\S]*"
NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)"
DATE = r"\d{4}-\d\d-\d\d"
MONTH = r"\d{4}(0[1-9]|1[0-2])(\d\d|w[1-5])?"
MANY = None


@dataclass(frozen=True)
class Said:
    """What the schema says on an element: attributes, and (name, at least, at most) in order."""

    required: dict[str, str] = field(default_factory=dict)
    optional: dict[str, str] = field(default_factory=dict)
    inside: tuple[tuple[str, int, int | None], ...] = ()


STRUCTURE = {
    "FIXML": Said(inside=(("Batch", 0, MANY),)),
    "Batch": Said(optional={"TotMsg": r"[+-]?\d+"}, inside=(("TrdCaptRpt", 0, MANY),)),
    "TrdCaptRpt": Said(
        required={"LastQty": NUMBER, "LastPx": NUMBER},
        optional={
            "RptID": TEXT,
            "TransTyp": "[0-5]",  # 0 new
            "RptTyp": r"\d|1[0-5]",  # 0 submit
            "TrdTyp": r"[0-9]|[1-4]\d|5[0-4]",  # 3 transfer
            "TrdDt": DATE,
            "BizDt": DATE,
        },
        inside=(("Instrmt", 1, 1), ("RptSide", 1, MANY)),
    ),
    "Instrmt": Said(
        optional={
            "Sym": TEXT,
            "ID": TEXT,
            "Src": "[1-9A-M]",  # 8 exchange symbol
            "SecTyp": "FUT|OPT|TNOTE|TBOND",
            "MMY": MONTH,
        }
    ),
    "RptSide": Said(required={"Side": "[1-9A-G]"}, inside=(("Pty", 0, MANY),)),
    "Pty": Said(
        optional={
            "ID": TEXT,
            "Src": "[1-9A-I]",  # D own name
            "R": r"[1-9]|[1-7]\d|8[0-4]",  # 38 position account
        },
        inside=(("Sub", 0, MANY),),
    ),
    "Sub": Said(optional={"ID": TEXT, "Typ": r"[1-9]|[12]\d|3[0-4]|[4-9]\d{3}"}),  # 26 its type
}


@dataclass
class Node:
    """An element as a reader found it."""

    name: str
    attributes: dict[str, str]
    inside: list[Node] = field(default_factory=list)


class _Collect(ContentHandler):
    """Collects elements by `xml.sax` with namespaces."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = [Node("", {})]

    def startElementNS(self, name: Any, qname: Any, attrs: Any) -> None:  # noqa: N802
        space, local = name
        attributes = {key[1]: value for key, value in attrs.items()}
        node = Node(f"{{{space}}}{local}" if space else local, attributes)
        self.stack[-1].inside.append(node)
        self.stack.append(node)

    def endElementNS(self, name: Any, qname: Any) -> None:  # noqa: N802
        self.stack.pop()

    def characters(self, content: str) -> None:
        assert content.isspace()


def by_sax(data: bytes) -> Node:
    reader, collect = xml.sax.make_parser(), _Collect()
    reader.setFeature(feature_namespaces, True)
    reader.setContentHandler(collect)
    reader.feed(data)
    reader.close()
    return collect.stack[0].inside[0]


def by_expat(data: bytes) -> Node:
    stack = [Node("", {})]

    def start(name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        node = Node(f"{{{space}}}{local}" if space else local, dict(attributes))
        stack[-1].inside.append(node)
        stack.append(node)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: stack.pop()
    parser.Parse(data, True)
    return stack[0].inside[0]


def by_lxml(data: bytes) -> Node:
    pytest.importorskip("lxml")
    etree = importlib.import_module("lxml.etree")

    def node(element: Any) -> Node:
        return Node(element.tag, dict(element.attrib), [node(child) for child in element])

    return node(etree.fromstring(data))


readers = pytest.mark.parametrize("read", [by_sax, by_expat, by_lxml])


def check(node: Node) -> None:
    """Assert that an element and all in it are as the schema says."""
    assert node.name.startswith(f"{{{NAMESPACE}}}"), node.name
    said = STRUCTURE[node.name.partition("}")[2]]
    assert said.required.keys() <= node.attributes.keys(), node
    for name, value in node.attributes.items():
        kind = {**said.required, **said.optional}[name]
        assert re.fullmatch(kind, value), (name, value)
    names = [child.name.partition("}")[2] for child in node.inside]
    order = [name for name, _, _ in said.inside]
    assert set(names) <= set(order), names
    assert names == sorted(names, key=order.index)
    for name, least, most in said.inside:
        assert least <= names.count(name) <= (len(names) if most is None else most), name
    for child in node.inside:
        check(child)


def transfers(*rows: tuple[str, str, int, str]) -> pa.Table:
    """Return a table of transfers: account, instrument, contracts, side in the XM account."""
    account, instrument, contracts, side = zip(*rows, strict=True) if rows else [()] * 4
    other = {"BUY": "SELL", "SELL": "BUY"}
    return TRANSFERS.table(
        {
            "account": columns.text_column(list(account)),
            "instrument": columns.text_column(list(instrument)),
            "contracts": pa.array(contracts, pa.int64()),
            "moves": columns.text_column(["in"] * len(rows)),
            "cross_margin_side": columns.text_column(list(side)),
            "ordinary_side": columns.text_column([other[each] for each in side]),
            "saves": money(columns.integers(pa.array([100] * len(rows), pa.int64()))),
        }
    )


ROWS = (("A", "ZNU26", 5, "SELL"), ("B", "SR3H27", 2, "BUY"), ("A", "UBZ26", 70, "BUY"))
PRICES = {"ZNU26": 110.515625, "SR3H27": 96.0, "UBZ26": 1e-5}


@readers
def test_the_element_inside_is_by_the_schema(read: Callable[[bytes], Node]) -> None:
    root = read(fixml(transfers(*ROWS), MANIFEST, PRICES))
    # Around it is what the exchange's optimiser has around it, in no namespace.
    assert root.name == "transfers"
    assert [child.name for child in root.inside] == ["cycle", f"{{{NAMESPACE}}}FIXML"]
    assert "unpriced" not in root.attributes
    check(root.inside[1])


@readers
def test_what_is_read_is_what_was_to_be_written(read: Callable[[bytes], Node]) -> None:
    (batch,) = read(fixml(transfers(*ROWS), MANIFEST, PRICES)).inside[1].inside
    assert batch.attributes == {"TotMsg": "3"}
    found = []
    for report in batch.inside:
        instrument, *sides = report.inside
        assert {side.inside[0].attributes["R"] for side in sides} == {"38"}
        booked = {
            side.inside[0].inside[0].attributes["ID"]: side.attributes["Side"] for side in sides
        }
        assert {*booked.values()} == {"1", "2"}
        (account,) = {side.inside[0].attributes["ID"] for side in sides}
        side = {"1": "BUY", "2": "SELL"}[booked["CROSS_MARGIN"]]
        contracts = int(report.attributes["LastQty"])
        found.append((account, instrument.attributes["Sym"], contracts, side))
        assert report.attributes["TransTyp"] == report.attributes["RptTyp"] == "0"
        assert report.attributes["TrdTyp"] == "3"
    assert tuple(found) == ROWS
    prices = [report.attributes["LastPx"] for report in batch.inside]
    assert prices == ["110.515625", "96.0", "0.00001"]


def test_a_report_without_a_price_is_counted_and_lacks_nothing_else() -> None:
    root = by_sax(fixml(transfers(*ROWS), MANIFEST, {"ZNU26": 110.5}))
    assert root.attributes["unpriced"] == "2"
    reports = root.inside[1].inside[0].inside
    assert ["LastPx" in report.attributes for report in reports] == [True, False, False]
    for report in reports:
        report.attributes.setdefault("LastPx", "1")
    check(root.inside[1])


def test_no_transfers_are_by_the_schema_too() -> None:
    check(by_sax(fixml(transfers(), MANIFEST)).inside[1])


@pytest.mark.parametrize("price", [float("nan"), float("inf"), True, "110"])
def test_a_price_is_a_finite_number(price: Any) -> None:
    with pytest.raises(ValueError, match="price of ZNU26: a finite number expected"):
        fixml(transfers(*ROWS), MANIFEST, {"ZNU26": price})


@given(
    account=st.text(
        st.characters(
            codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"
        ),
        min_size=1,
    ),
    contracts=st.integers(1, 10**9),
)
def test_any_transfer_is_by_the_schema(account: str, contracts: int) -> None:
    root = by_expat(fixml(transfers((account, "ZNU26", contracts, "BUY")), MANIFEST, PRICES))
    check(root.inside[1])
    (report,) = root.inside[1].inside[0].inside
    assert report.attributes["LastQty"] == str(contracts)
    assert {side.inside[0].attributes["ID"] for side in report.inside[1:]} == {account}


def test_the_table_finds_what_departs_from_the_schema() -> None:
    data = fixml(transfers(*ROWS), MANIFEST, PRICES)
    for good, bad in (
        (b' xmlns="http://www.fixprotocol.org/FIXML-5-0-SP2"', b""),
        (b' LastQty="5"', b""),
        (b' LastPx="96.0"', b""),
        (b'MMY="202609"', b'MMY="202613"'),
        (b'Side="1"', b'Side="BUY"'),
        (b"TrdTyp", b"TrdType"),
        (b"Instrmt", b"Instrument"),
    ):
        assert good in data
        with pytest.raises((AssertionError, KeyError)):
            check(by_expat(data.replace(good, bad)).inside[1])
