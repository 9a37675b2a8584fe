from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crossmargin.exceptions import InputError
from crossmargin.io.span_pa2 import parse_span_pa2, read_span_pa2, settlement_price
from crossmargin.margin.cme.span_file import SecurityEquivalent

JUNE, SEPTEMBER = np.datetime64("2025-06"), np.datetime64("2025-09")
PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=300)


def line(*fields: tuple[int, str]) -> str:
    """Return a record with these fields, each where its first column is (columns from 1)."""
    text = ""
    for column, field in fields:
        text = text.ljust(column - 1)[: column - 1] + field
    return text


HEADER = "0 CME   20250313SE     202503131407U2YN"


def future(code: str, month: str, full: int, price: str = "", sign: str = "+") -> list[str]:
    """Return both records of a future that loses `full` over its scan range."""
    key = (3, "CBT"), (6, code), (16, code), (26, "FUT"), (30, month)
    moves = (full * 2 // 3, -full, -full, full, full, -full * 99 // 100, full * 99 // 100)
    values = "".join(f"{abs(m):05d}{'-' if m < 0 else '+'}" for m in moves)
    return [
        line((1, "81"), *key, (48, "0000000"), (55, "00000+" * 9)),
        line((1, "82"), *key, (48, "0000000"), (55, values), (111, price), (118, sign)),
    ]


def price_format(code: str, locator: str = "003", alignment: str = "C") -> str:
    return line((1, "P CBT"), (6, code), (16, "FUT"), (34, locator), (40, alignment))


def commodity(code: str, exponent: str = "0", currency: str = "USD") -> str:
    products = ((23, code), (33, "FUT"), (39, code), (49, "OOF"))
    return line((1, "2 CBT"), (7, code), (13, exponent), (14, currency), *products)


def spread(*legs: tuple[str, str, str], priority: str = "0002", rate: str = "0750000") -> str:
    fields = [(1, "6 ALL"), (6, priority), (10, rate)]
    for at, (code, ratio, side) in zip((17, 35, 53, 71), legs, strict=False):
        fields += [(at, "CBT"), (at + 4, code), (at + 10, ratio), (at + 17, side)]
    return line(*fields, (89, "01"))


def security(
    cusip: str,
    product: str = "21",
    month: str = "202506",
    factor: str = "000087500",
    maturity: str = "20320215",
    currency: str = "USD",
) -> str:
    """Return the first record of a debt security; the factor has seven decimals."""
    return line(
        *((1, "91"), (3, "CBT"), (8, product), (18, month), (27, "US"), (32, cusip)),
        *((47, currency), (51, maturity), (59, "04125"), (64, factor)),
    )


FILE = [
    HEADER,
    "T USD$USD$0001000000",
    "1 CBT  01",
    price_format("21"),
    commodity("21"),
    line((1, "3 21"), (9, "10"), (11, "01202506202508"), (25, "02202509202512")),
    line((1, "4 21"), (9, "1001"), (13, "01202503"), (21, "0000050"), (28, "0000075")),
    "C 21    1001020000100010101A020201B",
    price_format("17"),
    commodity("17"),
    *future("21", "202506", 1650, "0110165"),
    *future("21", "202509", 1700, "0110003"),
    *future("17", "202506", 3600, "0116200"),
    spread(("17", "0010000", "B"), ("21", "0020000", "A")),
    spread(("21", "0010000", "A"), ("25", "0015000", "B"), priority="0001", rate="0600000"),
    security("91282CMM0"),
    line((1, "92"), (3, "CBT"), (8, "21"), (18, "202506"), (32, "91282CMM0"), (97, "0000987654")),
]


def test_a_file_by_hand() -> None:
    file = parse_span_pa2("\r\n".join(FILE).encode())
    assert str(file.business_date) == "2025-03-13"
    assert file.commodity == {("CBT", "21"): ("CBT", "21"), ("CBT", "17"): ("CBT", "17")}
    assert file.in_dollars == {("CBT", "21"), ("CBT", "17")}
    assert file.scan_range == {
        ("CBT", "21"): {JUNE: 1650.0, SEPTEMBER: 1700.0},
        ("CBT", "17"): {JUNE: 3600.0},
    }
    # 110 and 16 4/8 32nds; 110 and 0 3/8; 116 and 20.
    assert file.settlement == {
        ("CBT", "21"): {JUNE: 110.515625, SEPTEMBER: 110.01171875},
        ("CBT", "17"): {JUNE: 116.625},
    }
    assert file.tiers["21"] == (
        (JUNE, np.datetime64("2025-08")),
        (SEPTEMBER, np.datetime64("2025-12")),
    )
    assert file.delivery == {"21": {np.datetime64("2025-03"): 75.0}}
    assert [(s.priority, s.rate) for s in file.spreads] == [(1, 0.6), (2, 0.75)]
    assert file.spreads[1].legs == ((("CBT", "17"), 1.0, "B"), (("CBT", "21"), 2.0, "A"))
    assert file.spreads[0].legs[1] == (("CBT", "25"), 1.5, "B")
    # The factor of the second record is for long bonds.
    ten = SecurityEquivalent(("CBT", "21"), JUNE, 0.00875)
    assert file.securities == {"91282CMM0": (ten,)}
    assert file.not_decoded == {"1": 1, "92": 1, "C": 1, "T": 1}


def test_a_security_may_stand_for_several_futures() -> None:
    text = "\n".join([HEADER, security("91282CMM0"), security("91282CMM0", product="TN")])
    (found,) = parse_span_pa2(text.encode()).securities.values()
    assert [one.target for one in found] == [("CBT", "21"), ("CBT", "TN")]


@pytest.mark.parametrize(
    "bad",
    [
        security("91282CMM"),
        security("US91282CMM03"),
        security("91282CMM-"),
        security("91282CMM0", month="202513"),
        security("91282CMM0", month=""),
        security("91282CMM0", factor="000000000"),
        # More than one contract for 1,000 of face.
        security("91282CMM0", factor="010000001"),
        security("91282CMM0", factor="-00087500"),
        security("91282CMM0", factor="00008750"),
        security("91282CMM0", maturity="20320231"),
        security("91282CMM0", currency="EUR"),
        security("91282CMM0").replace("04125", "4.125"),
        security("91282CM\u00e90"),
        security("91282CMM1"),
    ],
)
def test_a_security_that_cannot_be_read_is_counted(bad: str) -> None:
    # The second record of the same future is one of them: which of the two holds?
    text = "\n".join([HEADER, security("91282CMM1"), bad])
    file = parse_span_pa2(text.encode())
    assert list(file.securities) == ["91282CMM1"]
    assert len(file.securities["91282CMM1"]) == 1
    assert file.not_decoded == {"91": 1}


def test_other_methods_and_scales_are_counted_and_not_used() -> None:
    file = parse_span_pa2(
        "\n".join(
            [
                HEADER,
                commodity("21", exponent="1"),
                commodity("17", currency="EUR"),
                line((1, "3 21"), (9, "01")),
                line((1, "4 21"), (9, "11")),
                spread(("21", "0010000", "A"))[:88] + "04",
                spread(("21", "0010000", "A")).ljust(100) + "F",
                price_format("21", locator="-02"),
                price_format("21", locator="400"),
                *future("21", "202506", 1650, "0110165"),
            ]
        ).encode()
    )
    assert file.in_dollars == frozenset()
    assert file.tiers == file.delivery == file.settlement == {}
    assert file.spreads == ()
    assert file.not_decoded == {"3": 1, "4": 1, "6": 2, "P": 2}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("", "holds no record"),
        ("account,kind\n1,cash", "line 1: b'account,kind' is not a record"),
        (FILE[3], "line 1"),
        (f"{HEADER}\n{HEADER}", "line 2"),
        (HEADER.replace("20250313", "19690102"), "business date, columns 9 to 16, is 19690102"),
        (
            "\n".join(
                [HEADER, *[line((1, "4 21"), (9, "1001"), (13, "01202503"), (28, "0000075"))] * 2]
            ),
            "line 3: record 4: 21 of 2025-03 appears twice in the file",
        ),
        (HEADER.replace("20250313", "20250230"), "business date, columns 9 to 16, is 20250230"),
        (HEADER.replace("20250313", "2025031X"), "business date, columns 9 to 16, is '2025031X'"),
        (f"{HEADER}\n7 21", "line 2"),
        (f"{HEADER}\n" + future("21", "202513", 5)[1], "line 2: record 82: the contract month"),
        (
            f"{HEADER}\n" + future("21", "202506", 5)[1][:62],
            "record 82: an array value, columns 61 to 65, is '00'",
        ),
        (
            "\n".join([HEADER, *future("21", "202506", 5), *future("21", "202506", 99)]),
            "line 5: record 82: 21 of 2025-06 appears twice in the file",
        ),
        (f"{HEADER}\n" + spread(("21", "0010000", "C")), "side of a leg, column 34, is 'C'"),
        (f"{HEADER}\n" + spread(("21", "0000000", "A")), "a leg's ratio is zero"),
        (f"{HEADER}\n" + spread(("21", "0010000", "A"), rate="1500000"), "150.0 percent"),
        (f"{HEADER}\n" + commodity("2\u00e9"), "line 2: record 2: is not ASCII"),
        (
            "\n".join([HEADER, price_format("21"), *future("21", "202506", 5, "0110164")]),
            "line 4: record 82: price 0110164 ends in 4, which is not an eighth",
        ),
        (
            "\n".join([HEADER, price_format("21"), *future("21", "202506", 5, "0110320")]),
            "price 0110320 has 32 32nds",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_line(bad: str, says: str) -> None:
    with pytest.raises(InputError) as error:
        parse_span_pa2(bad.encode())
    assert "span file" in str(error.value)
    assert says in str(error.value)


@pytest.mark.parametrize("digit", [4, 9])
@pytest.mark.parametrize("alignment", ["C", "0"])
def test_no_price_in_eighths_ends_in_4_or_9(digit: int, alignment: str) -> None:
    with pytest.raises(ValueError, match="not an eighth"):
        settlement_price(110_000 + digit, 3, alignment)


def test_alignment_that_no_source_explains_is_not_decoded() -> None:
    assert settlement_price(110_000, 3, "K") is None
    assert settlement_price(110_000, 2, "C") is None


def test_published_settlements_are_decoded(real_data: Callable[[str], Path]) -> None:
    with real_data("span_settlement_decode.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11
    for row in rows:
        raw, locator = int(row["raw_7digit"]), int(row["decimal_locator"])
        price = settlement_price(raw, locator, row["alignment"].strip())
        assert price == float(row["decoded_price"])


def test_real_records_of_every_type_are_read(real_data: Callable[[str], Path]) -> None:
    file = read_span_pa2(real_data("span_pa2_records.txt"))
    assert str(file.business_date) == "2025-06-20"
    assert file.commodity == {("CBT", "26"): ("CBT", "26")}
    assert file.in_dollars == {("CBT", "26")}
    assert [str(a) + "/" + str(b) for a, b in file.tiers["06"]] == [
        "2025-07/2025-07",
        "2025-08/2025-08",
        "2025-09/2025-09",
        "2025-10/2025-11",
    ]
    assert file.delivery == {"YM": {JUNE: 0.0}}
    # Its one spread is scanning-based; its second risk array is an option's.
    assert file.spreads == ()
    assert file.scan_range == {}
    left = {"1", "5", "6", "82", "B", "C", "E", "S", "T", "V", "X", "Y", "Z"}
    assert file.not_decoded == dict.fromkeys(sorted(left), 1)


def test_file_is_read_plain_gzip_or_zip(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.pa2", tmp_path / "a.pa2.gz"
    text = "\n".join(FILE).encode()
    plain.write_bytes(text)
    packed.write_bytes(gzip.compress(text))
    assert read_span_pa2(plain) == read_span_pa2(packed)
    with pytest.raises(InputError, match=r"span file .*nowhere"):
        read_span_pa2(tmp_path / "nowhere.pa2")
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cme.20250620.s.pa2", text)
    packed.write_bytes(sink.getvalue())
    assert read_span_pa2(packed) == read_span_pa2(plain)
    packed.write_bytes(gzip.compress(text)[:-9])
    with pytest.raises(InputError, match=r"span file .*a\.pa2\.gz: cannot be read"):
        read_span_pa2(packed)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return the file with some bytes changed, cut out or put in."""
    data = "\n".join(FILE).encode()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.integers(0, 30))
        put = draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"9" * 40, b" " * 9, b"-1"])))
        data = data[:at] + put + data[at + cut :]
    return data


@PROPERTY
@given(st.one_of(st.binary(), damaged(), st.binary().map(lambda b: HEADER.encode() + b"\n" + b)))
@example(HEADER.encode() + b"\n6 ")
@example(HEADER.replace("20250313", "00000000").encode())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    said = ""
    try:
        file = parse_span_pa2(data)
    except InputError as error:
        said = str(error)
    if said:
        assert said.startswith("span file: ")
    else:
        assert all(0.0 <= spread.rate <= 1.0 for spread in file.spreads)
        assert all(0.0 < o.factor <= 1.0 for many in file.securities.values() for o in many)
