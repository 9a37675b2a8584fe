from __future__ import annotations

import pytest

from crossmargin.exceptions import InputError
from crossmargin.io import xml_feed
from crossmargin.io.xml_feed import looks_like_xml, read_xml_feed

ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;">]>'
    "<feed><properties><NEW_DATE>&b;</NEW_DATE></properties></feed>"
)
EXTERNAL = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    "<feed><properties><NEW_DATE>&a;</NEW_DATE></properties></feed>"
)


def test_records_are_read_by_their_properties() -> None:
    table = read_xml_feed(b"<f><properties><A>1</A><B/></properties><properties/></f>", "file")
    assert table.to_pydict() == {"A": ["1", None], "B": ["", None]}


@pytest.mark.parametrize("data", [b"<feed>", b"\xef\xbb\xbf<?xml", b" \n<html>"])
def test_xml_is_told_by_its_first_character(data: bytes) -> None:
    assert looks_like_xml(data)
    assert not looks_like_xml(b"date,1mo\n<")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (ENTITIES.encode(), "document type"),
        (ENTITIES.encode("utf-16"), "document type"),
        (b'<?xml version="1.0" encoding="rot13"?><feed/>', "without records"),
        (EXTERNAL.encode(), "document type"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "a web page"),
        (b"<feed><properties><A>1</A>", "cannot be read as XML"),
        (b"<feed>&a;</feed>", "cannot be read as XML"),
        (b"<feed></feed>", "without records"),
        (b"<f>" * 100 + b"</f>" * 100, "nested more than 32 deep"),
        (b"<properties><A>1</A><A>2</A></properties>", "record 1: `A` appears twice"),
        (
            b"<f>" + b"".join(b"<properties><A%d/></properties>" % k for k in range(101)) + b"</f>",
            "more than 100 different properties",
        ),
        (b"<properties><A>" + b"9" * 1001 + b"</A></properties>", "longer than 1,000"),
    ],
)
def test_what_is_hostile_or_no_feed_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=f"^file.*{says}"):
        read_xml_feed(data, "file")


def test_size_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_feed, "MAX_RECORDS", 2)
    with pytest.raises(InputError, match="more than 2 records"):
        read_xml_feed(b"<f>" + b"<properties/>" * 3 + b"</f>", "file")
    monkeypatch.setattr(xml_feed, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="above the limit of 10"):
        read_xml_feed(b"<properties/>", "file")
