"""What the documentation shows is what the program takes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from crossmargin.instruments.contracts import contract_rule
from crossmargin.io.column_map import read_column_map

INPUTS = (Path(__file__).resolve().parents[1] / "docs/inputs.md").read_text("utf-8")


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", INPUTS, re.DOTALL))
def test_columns_files_in_the_documentation_are_read(example: str) -> None:
    assert read_column_map(tomllib.loads(example)).tables


@pytest.mark.parametrize(
    ("root", "months"), re.findall(r"(Z\w+)(?: back to)? (\d+) months", INPUTS)
)
def test_how_far_back_a_list_of_today_serves_is_the_contracts_rule(root: str, months: str) -> None:
    assert contract_rule(root, np.datetime64("2025-06")).remaining_min_months == int(months)
