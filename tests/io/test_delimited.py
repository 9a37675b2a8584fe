from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crossmargin.exceptions import InputError
from crossmargin.io import limits
from crossmargin.io.tables import Given, read_table

HEADER = ["account", "kind", "quantity"]
ROWS = [
    {"account": "A1", "kind": "cash", "quantity": "100"},
    {"account": "A2", "kind": "repo", "quantity": "200"},
]
CSV = "account,kind,quantity\nA1,cash,100\nA2,repo,200\n"

Read = Callable[[str | bytes], Given]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_text(text: str | bytes) -> Given:
        path = tmp_path / "table"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_table(path, name="positions")

    return read_text


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("before", "note"),
    [
        (
            "Client positions as of 3/13/2025,,\n,,\n",
            'lines 1 to 2 are before the header and not read: "Cli',
        ),
        (
            "Client positions as of 3/13/2025\n\n",
            'lines 1 to 2 are before the header and not read: "Cli',
        ),
        ('"Positions, ""all""\nas of March 13, 2025"\n', "lines 1 to 2 are before the header"),
        ("sep=,\n", 'line 1 is before the header and not read: "sep="'),
        (
            "Positions; as of 3/13/2025\n",
            'line 1 is before the header and not read: "Positions; as of',
        ),
        ("\ufeffsep=,\n", "line 1 is before the header"),
    ],
)
def test_what_stands_before_the_header_is_left_out(
    read: Read, before: str, note: str, end: str
) -> None:
    given = read((before + CSV).replace("\n", end))
    assert given.table.to_pylist() == ROWS
    assert [text[: len(note)] for text in given.notes] == [note]


def test_a_ragged_line_is_numbered_from_the_first_of_the_file(read: Read) -> None:
    with pytest.raises(InputError, match="line 4: 2 cells, but the header has 3"):
        read("Positions,,\n,,\n" + CSV.replace("cash,", ""))


def test_a_short_row_does_not_make_the_next_one_a_header(read: Read) -> None:
    # Unnamed columns with content, not a title and a header.
    with pytest.raises(InputError, match="column 3 has no name, but content in row 1"):
        read("account,kind,\nA1,cash,100\n")


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_semicolons_tabs_and_bars_part_cells_too(read: Read, mark: str) -> None:
    given = read(CSV.replace(",", mark))
    assert given.table.to_pylist() == ROWS
    assert not given.point
    assert not given.notes
    given = read(f"sep={mark}\n" + CSV.replace(",", mark))
    assert given.table.to_pylist() == ROWS
    assert read(CSV).point


def test_decimal_commas_do_not_part_cells(read: Read) -> None:
    given = read("instrument;1;2\nA;1,5;-2,25\nB;0,5;3,75\n")
    assert given.table.column_names == ["instrument", "1", "2"]
    assert given.table["2"].to_pylist() == ["-2,25", "3,75"]


def test_semicolons_within_cells_do_not_part_them(read: Read) -> None:
    given = read("cusip,resold_as\nX,2022-01-31:5-Year;2023-01-31:3-Year;2024-01-31:2-Year\n")
    assert given.table["resold_as"].to_pylist() == [
        "2022-01-31:5-Year;2023-01-31:3-Year;2024-01-31:2-Year"
    ]


def test_the_cells_of_a_large_file_are_counted_before_it_is_read(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SMALL", 1000)
    monkeypatch.setattr(limits, "MAX_CELLS", 1000)
    with pytest.raises(InputError, match="cells, above the limit of 1,000"):
        read(CSV + ",,\n" * 600)


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", ()),
        ("utf-8-sig", ()),
        ("utf-16", ("UTF-16 text",)),
        ("latin-1", ("not UTF-8: read as Windows-1252",)),
    ],
)
def test_encodings(read: Read, encoding: str, note: tuple[str, ...]) -> None:
    given = read("account,kind\nSociété Générale,cash\n".encode(encoding))
    assert given.table.to_pylist() == [{"account": "Société Générale", "kind": "cash"}]
    assert tuple(text[: len(note[0])] for text in given.notes) == note


def test_an_accent_far_into_a_file_is_read_too(read: Read) -> None:
    text = "account,kind\n" + "A,cash\n" * 400_000 + "é,cash\n"
    for encoding in ("utf-8", "utf-16", "latin-1"):
        assert read(text.encode(encoding)).table["account"][400_000].as_py() == "é"


def test_lines_of_blanks_are_passed_over(read: Read) -> None:
    assert read(CSV.replace("A2", "   \n\t\nA2") + " \n").table.to_pylist() == ROWS
    with pytest.raises(InputError, match="line 4: 1 cells, but the header has 3: 'x'"):
        read(CSV.replace("A2", "   \nx\nA2"))


def test_rows_between_two_stray_quotes_are_not_lost(read: Read) -> None:
    text = "account,kind,note\nA1,cash,{}first\nA2,repo,\nA3,cash,{}last\n"
    with pytest.raises(
        InputError, match="row 1: `note` holds other rows, because a quote in it is opened"
    ):
        read(text.format('"', '"'))
    # A note of its own may have lines and commas.
    note = 'account,kind,note\nA1,cash,"first,\nsecond"\n\n\nA2,repo,\n'
    assert read(note).table["note"].to_pylist() == ["first,\nsecond", ""]


def test_wide_text_without_its_mark_is_named(read: Read) -> None:
    with pytest.raises(InputError, match="save it as UTF-8 if it is UTF-16 without its mark"):
        read(CSV.encode("utf-16-le"))


@pytest.mark.parametrize("mark", [",", "|"])
def test_a_header_may_be_longer_than_a_field(read: Read, mark: str) -> None:
    names = [f"scenario {number}" for number in range(15_000)]
    table = read(mark.join(names) + "\n" + mark.join(["0"] * len(names)) + "\n").table
    assert table.column_names == names
