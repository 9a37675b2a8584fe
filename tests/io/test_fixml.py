from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from crossmargin.exceptions import InputError
from crossmargin.io import fixml
from crossmargin.io.fixml import is_fixml, read_fixml
from crossmargin.io.sources import read_source

HEAD = '<?xml version="1.0"?>\n<!-- eod --><FIXML xmlns="http://www.fixprotocol.org/FIXML-5-0-SP2">'
REPORT = (
    '<PosRpt RptID="1" Rslt="0" BizDt="2025-03-13" ReqTyp="0" SetSesID="EOD" Ccy="USD" {of}>'
    '<Pty ID="CME" R="21"/><Pty ID="357" R="4"/><Pty ID="S1" R="38"><Sub ID="1" Typ="26"/></Pty>'
    '{party}<Instrmt ID="21" Src="H" SecTyp="FUT" MMY="202506" Exch="CBT" {instrument}/>{qty}'
    "</PosRpt>"
)
FIN = '<Qty Typ="SOD" Long="5" Short="0"/><Qty Typ="FIN" Long="10" Short="13"/>'
CUSTOMER = '<Pty ID="C1" R="24"/>'


def report(of: str = "", party: str = CUSTOMER, instrument: str = "", qty: str = FIN) -> str:
    return REPORT.format(of=of, party=party, instrument=instrument, qty=qty)


def document(*reports: str, total: str = "") -> bytes:
    return f"{HEAD}<Batch{total}><Hdr/>{''.join(reports)}</Batch></FIXML>".encode()


def lines(data: bytes, folder: Path) -> list[tuple[object, ...]]:
    (folder / "p.xml").write_bytes(data)
    table = read_source(folder / "p.xml", name="positions").table
    cells = [table[name].to_pylist() for name in ("account", "instrument", "quantity")]
    cells[2] = [None if number is None else f"{number:g}" for number in cells[2]]
    return list(zip(*cells, strict=True))


def test_a_position_report(tmp_path: Path) -> None:
    assert lines(document(report()), tmp_path) == [("C1", "ZNM25", "-3")]
    notes = read_source(tmp_path / "p.xml", name="positions").notes
    assert notes[0] == (
        "FIXML with 1 position reports: their account is the customer's (`Pty` of role 24), their "
        "quantity of type FIN (not read: SOD)"
    )
    assert "of 2025-03-13 EOD" in notes[1]
    assert "netted" in notes[1]


def test_zipped_and_without_a_namespace(tmp_path: Path) -> None:
    data = b"<FIXML>" + report().encode() + b"</FIXML>"
    assert lines(data, tmp_path) == [("C1", "ZNM25", "-3")]
    (tmp_path / "p.gz").write_bytes(gzip.compress(data))
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("p.xml", data)
    for name in ("p.gz", "p.zip"):
        assert read_source(tmp_path / name, name="positions").table["account"].to_pylist() == ["C1"]


@pytest.mark.parametrize(
    ("of", "party", "account"),
    [
        ('Acct="A1"', CUSTOMER, "C1"),
        ('Acct="A1"', "", "A1"),
        ("", "", "S1"),
    ],
)
def test_the_account(tmp_path: Path, of: str, party: str, account: str) -> None:
    ((found, *_),) = lines(document(report(of, party)), tmp_path)
    assert found == account


@pytest.mark.parametrize(
    ("qty", "quantity"),
    [
        ('<Qty Typ="FIN" Short="3"/>', "-3"),
        ('<Qty Typ="TOT" Long="2"/><Qty Typ="DLV" Long="9"/>', "2"),
        ('<Qty Typ="FIN" Long="1"/><Qty Typ="TOT" Long="2"/>', "1"),
        ('<Qty Typ="SOD" Long="4" Short="1"/>', "3"),
        ('<Qty Typ="XM" Long="4"/>', None),
        ("", None),
    ],
)
def test_quantities(tmp_path: Path, qty: str, quantity: str | None) -> None:
    ((*_, found),) = lines(document(report(qty=qty)), tmp_path)
    assert found == quantity


def test_an_opening_position_beside_closing_ones_is_not_one(tmp_path: Path) -> None:
    opening = report(qty='<Qty Typ="SOD" Long="4"/>')
    found = [quantity for *_, quantity in lines(document(report(), opening), tmp_path)]
    assert found == ["-3", None]


@pytest.mark.parametrize(
    ("of", "instrument", "name"),
    [
        ("", 'PutCall="1" StrkPx="110"', "ZNM25 C110"),
        ('Actn="3"', "", "ZNM25 of type ACTN 3"),
        ("", 'CFI="FXXXXX"', "ZNM25"),
    ],
)
def test_what_is_no_position_in_a_future(
    tmp_path: Path, of: str, instrument: str, name: str
) -> None:
    ((_, found, _),) = lines(document(report(of, instrument=instrument)), tmp_path)
    assert found == name


def test_reports_that_are_not_positions(tmp_path: Path) -> None:
    for old, new in (('ReqTyp="0"', 'ReqTyp="1"'), ('Rslt="0"', 'Rslt="1"')):
        data = document(report()).replace(old.encode(), new.encode())
        ((_, found, _),) = lines(data, tmp_path)
        assert "of type" in str(found)


def test_other_products_are_counted(tmp_path: Path) -> None:
    data = document(report(), report().replace('ID="21" Src', 'ID="ES" Src'))
    assert lines(data, tmp_path)[1] == (None, None, None)
    assert "ES (1)" in read_source(tmp_path / "p.xml", name="positions").notes[1]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (document(), "without position reports"),
        (document(report(), total=' TotMsg="2"'), r"has 1 messages and says it has 2"),
        (document(report().replace("</PosRpt>", report() + "</PosRpt>")), "within another"),
        (document(report())[:-20], "cannot be read as XML"),
        (document(report())[:200], "cannot be read as XML"),
        (document(report(party=CUSTOMER + '<Pty ID="C2" R="24"/>')), "'C1' and 'C2'; keep one"),
        (document(report(qty=FIN + '<Qty Typ="FIN" Long="11"/>')), "'10' and '11'; keep one"),
        (document(report(instrument=f'Sym="{"x" * 1001}"')), "longer than 1,000"),
        (b"<FIXML>" + b"<a>" * 40 + b"</a>" * 40 + b"</FIXML>", "nested more than 32 deep"),
        (
            b'<!DOCTYPE FIXML [<!ENTITY a "b">]><FIXML><PosRpt Acct="&a;"/></FIXML>',
            "document type",
        ),
        (b'<FIXML><PosRpt Acct="&a;"/></FIXML>', "cannot be read as XML"),
    ],
)
def test_what_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_fixml(data, "positions file p.xml")


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixml, "MAX_REPORTS", 1)
    with pytest.raises(InputError, match="more than 1 reports"):
        read_fixml(document(report(), report()), "file")
    monkeypatch.setattr(fixml, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="above the limit of 10"):
        read_fixml(document(report()), "file")


@pytest.mark.parametrize(
    ("data", "yes"),
    [
        (b"<FIXML>", True),
        (b"\xef\xbb\xbf <?xml?> <!-- <a> --> <f:FIXML a='b'>", True),
        (b"<Batch/>", True),
        (b"<feed><FIXML/></feed>", False),
        (b"<FIXMLS>", False),
        (b"<html>", False),
        (b"<!DOCTYPE FIXML []><FIXML>", False),
        (b"", False),
    ],
)
def test_fixml_by_its_first_element(data: bytes, yes: bool) -> None:
    assert is_fixml(data) is yes
