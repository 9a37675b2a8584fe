"""Fuzz one reader, guided by coverage: ``python fuzz/readers.py TARGET [OPTION OF LIBFUZZER...]``.

Inputs that reach new code, or fail, go to build/fuzz/TARGET. It starts from corpus/TARGET.
"""

from __future__ import annotations

import random
import re
import sys
import warnings
from pathlib import Path

import atheris

READING = ("io", "book", "policies", "instruments", "market", "columns", "engine")
with atheris.instrument_imports(include=[f"crossmargin.{part}" for part in READING]):
    import targets

LIMITS = ["-rss_limit_mb=1024", "-timeout=10", "-max_len=2048"]
BINARY = ("typed", "arrays", "parquet", "stages")
MARKS = re.compile(rb'([,\n=\[\]{}": ])')
"""Separators of CSV cells, TOML and JSON values, and lines."""
WORDS = (
    *(b"", b" ", b"nan", b"inf", b"-0", b"1e999", b"9" * 40, b"1e-400", b"null", b'"', b'""'),
    *(b",", b"\n", b"\r", b"\r\n", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"0x1", b"true", b"N/A"),
    *(b"2025-02-30", b"9999-12-31", b"0001-01-01", b"1/1/1", b"2025-03-13", b"2/28/24", b"."),
    *(b"ZNM25", b"ZNM5", b"ZN", b"ZNZ99", b"SR3H46", b"repo", b"cash", b"[red]", b"\x1b[2J"),
    *(b"-100", b"50", b"100.5", b"1e13", b"9007199254740992", b"4.25", b"0.0425", b"(1,000)"),
    *(b"2022-01-31:5-Year", b":;:", b"2060-05-15", b"sep=,", b";", b"\t", b"=1+1", b"row"),
    *(b"JUN-25", b"202506", b"20250630", b"FUT", b"OOF", b"21", b"TY", b"ES", b"CBT", b"FIN"),
    *("\u0663".encode(), "\U0001f4a5".encode(), "\u202e".encode(), b"\x85", b"\xc2\xa0"),
)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change bytes as libFuzzer does, or cells and lines as people's mistakes do."""
    draw = random.Random(seed)
    if draw.random() < 0.3:
        return bytes(atheris.Mutate(data, max_size))
    for _ in range(draw.choice((1, 1, 2, 4))):
        data = (draw.choice((cell, cell, line, column)))(data, draw)
    return data[:max_size]


def cell(data: bytes, draw: random.Random) -> bytes:
    """Replace the text between two marks, or a mark, by another."""
    parts = MARKS.split(data)
    at = draw.randrange(len(parts))
    own = atheris.Mutate(parts[at], len(parts[at]) + 8)
    parts[at] = draw.choice((draw.choice(WORDS), draw.choice(parts), own))
    return b"".join(parts)


def line(data: bytes, draw: random.Random) -> bytes:
    """Drop, double or move a line."""
    lines = data.split(b"\n")
    kept = lines.pop(draw.randrange(len(lines)))
    for _ in range(draw.randrange(3)):
        lines.insert(draw.randrange(len(lines) + 1), kept)
    return b"\n".join(lines)


def column(data: bytes, draw: random.Random) -> bytes:
    """Drop, double or rename a column of CSV."""
    rows = [text.split(b",") for text in data.split(b"\n")]
    at = draw.randrange(max(len(row) for row in rows))
    what = draw.randrange(3)
    for row in rows:
        if at < len(row):
            row[at : at + 1] = ([], [row[at]] * 2, [draw.choice(WORDS)])[what]
            what = 1 if what == 2 else what
    return b"\n".join(b",".join(row) for row in rows)


def main(name: str, *options: str) -> None:
    """Fuzz a target until something fails, or as long as the options say."""
    found = Path("build/fuzz") / name
    found.mkdir(parents=True, exist_ok=True)
    corpora = [str(found), str(targets.CORPUS / name)]
    # To merge corpora, libFuzzer runs this command line again from its first word.
    command = f"{sys.executable} {sys.argv[0]} {name}"
    arguments = [command, *LIMITS, f"-artifact_prefix={found}-", *options, *corpora]
    mutator = {} if name in BINARY else {"custom_mutator": mutate}
    atheris.Setup(arguments, lambda data: targets.feed(name, data), **mutator)
    warnings.simplefilter("error")
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in targets.TARGETS:
        sys.exit(f"{__doc__}\nTargets: {', '.join(targets.TARGETS)}")
    main(*sys.argv[1:])
