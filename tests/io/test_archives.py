from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from crossmargin.exceptions import InputError
from crossmargin.io import limits
from crossmargin.io.tables import read_bytes, read_table

CSV = b"account,kind\nA1,cash\n"


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return sink.getvalue()


def written(folder: Path, data: bytes) -> Path:
    path = folder / "archive"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "members",
    [
        [("positions.csv", CSV)],
        [("desk/", b""), ("desk/positions.csv", CSV)],
        [("positions.csv", CSV), ("__MACOSX/._positions.csv", b"\0\5")],
    ],
)
def test_the_one_file_of_a_zip_archive_is_read(
    tmp_path: Path, members: list[tuple[str, bytes]]
) -> None:
    path = written(tmp_path, zipped(*members))
    assert read_table(path, name="x").table.to_pylist() == [{"account": "A1", "kind": "cash"}]
    assert read_bytes(path, name="x") == CSV


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zipped(("a.csv", CSV), ("b.csv", CSV)), r"archive of 2 files \(a.csv, b.csv\); give one"),
        (zipped(("d/", b"")), "archive of 0 files"),
        (zipped(("a.csv", CSV))[:-30], "cannot be read: File is not a zip file"),
        (zipped(("a.csv", CSV), method=zipfile.ZIP_BZIP2), "uses an unusual compression"),
        (zipped(("a.zip", zipped(("a.csv", CSV)))), "holds another archive"),
    ],
)
def test_any_other_archive_is_named_for_what_it_is(
    tmp_path: Path, data: bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_table(written(tmp_path, data), name="x")


def test_a_password_is_named(tmp_path: Path) -> None:
    data = bytearray(zipped(("a.csv", CSV)))
    data[data.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(InputError, match="is encrypted"):
        read_table(written(tmp_path, bytes(data)), name="x")


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    data = zipped(("a.csv", CSV), method=zipfile.ZIP_STORED).replace(b"A1", b"A2")
    with pytest.raises(InputError, match="cannot be read"):
        read_table(written(tmp_path, data), name="x")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SMALL", 1 << 20)
    bomb = zipped(("a.csv", b"a\n" + b"," * (40 << 20)))
    assert len(bomb) < 60_000
    with pytest.raises(InputError, match="unpacks to more than"):
        read_table(written(tmp_path, bomb), name="x")


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    # A name that begins with a zero byte ends there.
    data = zipped(("table.csv", CSV), method=zipfile.ZIP_STORED).replace(
        b"table.csv", b"\0able.csv"
    )
    with pytest.raises(InputError, match="has a file without a name"):
        read_table(written(tmp_path, data), name="x")
