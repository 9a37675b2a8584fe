"""The rules in plain numbers are written from their statements, and what cannot be is refused."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "tools"
with pytest.MonkeyPatch.context() as path:
    path.syspath_prepend(FOLDER)
    scalar = importlib.import_module("scalar")


def written(source: str, name: str = "f") -> str:
    """Return a function of a module in plain numbers."""
    functions = {f.name: f for f in ast.parse(source).body if isinstance(f, ast.FunctionDef)}
    types = {"Float": ast.Name("float"), "PortfolioColumns": ast.Name("Portfolios")}
    text: str = scalar.scalar_function(functions[name], functions, types)
    return text


def lines(source: str) -> list[str]:
    """Return the statements of f(x, y)."""
    body = "".join(f"    {line}\n" for line in source.splitlines())
    text = written(f"def f(x: Float, y: Float) -> Float:\n{body}")
    assert text.startswith("def f(\n    x: float,\n    y: float,\n) -> float:\n")
    return [line.strip() for line in text.splitlines()[4:]]


@pytest.mark.parametrize("package", scalar.RULES)
def test_every_rule_has_been_written_anew_since_it_was_changed(package: str) -> None:
    found = (scalar.PACKAGE / package / "_scalar.py").read_text(encoding="utf-8")
    # Versions of Python differ in brackets.
    expected = ast.dump(ast.parse(scalar.scalar_module(package)))
    assert ast.dump(ast.parse(found)) == expected, "run tools/scalar.py"


def test_every_rule_is_written() -> None:
    stated = {file.parent for file in scalar.PACKAGE.rglob("rule.py")}
    assert stated == {scalar.PACKAGE / package for package in scalar.RULES}


@pytest.mark.parametrize(
    ("columns", "numbers"),
    [
        ("np.where(x > 0.0, x, -y)", "x if x > 0.0 else -y"),
        ("np.minimum(x, y)", "x if x <= y else y"),
        ("np.maximum(x, 0.0)", "x if x > 0.0 else 0.0"),
        ("(x > y) & ~(y == 0.0)", "x > y and (not y == 0.0)"),
        ("(x > y) | (y == 0.0)", "x > y or y == 0.0"),
        ("np.select([x > y, x == y], [1, A], 0)", "1 if x > y else A if x == y else 0"),
        ("cents(x * y)", "cents_of(x * y)"),
        ("np.sqrt(np.abs(x))", "sqrt(abs(x))"),
        ("np.asarray(x[CASH] - 1.0 / y)", "x[CASH] - 1.0 / y"),
    ],
)
def test_expressions(columns: str, numbers: str) -> None:
    assert lines(f"return {columns}") == [f"return {numbers}"]


def test_loops_over_buckets_stay_loops() -> None:
    source = (
        "total = np.asarray(0.0)\n"
        "for a, b in zip(x, y, strict=True):\n"
        "    c = a - b\n"
        "    for d in x:\n"
        "        total = total + d * np.maximum(c, 0.0)\n"
        "return np.abs(total)"
    )
    assert lines(source) == [
        "total = 0.0",
        "for a, b in zip(x, y, strict=True):",
        "c = a - b",
        "for d in x:",
        "total = total + d * (c if c > 0.0 else 0.0)",
        "return abs(total)",
    ]


def test_functions_are_written_in_place() -> None:
    text = written(
        "def less(a: Float, b: Float) -> Float:\n    return a * (1.0 - b)\n"
        "def both(a: Float, b: Float) -> Float:\n"
        "    sum = a + b\n    larger = np.maximum(a, b)\n    return sum, less(larger, sum)\n"
        "def f(a: Float, b: Float) -> Float:\n"
        "    total, y = both(b, a)\n    sum = 3.0\n    return total + y + sum\n"
    )
    # A function's own names do not meet those of its caller.
    assert [line.strip() for line in text.splitlines()[4:]] == [
        "total = b + a",
        "both_larger = b if b > a else a",
        "y = both_larger * (1.0 - total)",
        "sum = 3.0",
        "return total + y + sum",
    ]


def test_names_that_trade_places_are_assigned_together() -> None:
    assert lines("x, y = y, x\nreturn x - y") == ["x, y = (y, x)", "return x - y"]


def test_a_function_of_portfolios_is_applied_to_each() -> None:
    text = written(
        "def f(v: PortfolioColumns, weight: Float) -> PortfolioColumns:\n"
        "    rest = 1.0 - weight\n    w = rest * v\n    return np.maximum(w, 0.0)\n"
    )
    names: dict[str, object] = {}
    exec(text, {"Portfolios": tuple}, names)
    assert names["f"]((1.0, -2.0, 3.0, 0.0, 8.0), 0.5) == (0.5, 0.0, 1.5, 0.0, 4.0)  # type: ignore[operator]
    assert text.count("1.0 - weight") == 1


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return np.minimum(x + y, y)", "evaluated twice: x \\+ y"),
        ("return twice(x + y)", "evaluated twice: x \\+ y"),
        ("return np.exp(x)", "a rule cannot use this function: np.exp"),
        ("return x ** y", "a rule cannot use this expression"),
        ("return x if y else y", "a rule cannot use this expression"),
        ("return np.where(condition=x, x=x, y=y)", "by position"),
        ("z = twice(v=x)\nreturn z", "by position"),
        ("return steps(x) + y", "assign it first"),
        ("y, x = pair(x)\nreturn y", "x is an argument"),
        ("return np.select(x, y, 0)", "write both lists out"),
        ("if x:\n    y = x\nreturn y", "only assignments and loops"),
        ("for a in zip(x, y):\n    if a:\n        x = a\nreturn x", "only assignments and loops"),
        ("for a in range(3):\n    x = x + a\nreturn x", "a loop is over"),
        ("return total(x) + y", "a loop cannot be used in another function"),
        ("x = y", "ends in a return"),
    ],
)
def test_what_has_no_form_in_plain_numbers_is_refused(body: str, problem: str) -> None:
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    with pytest.raises(scalar.RuleError, match=problem):
        written(
            "def twice(v: Float) -> Float:\n    return v + v\n"
            "def steps(v: Float) -> Float:\n    w = v + 1.0\n    return w * w\n"
            "def total(v: Float) -> Float:\n"
            "    w = np.asarray(0.0)\n    for a in v:\n        w = w + a\n    return w\n"
            "def pair(v: Float) -> Float:\n    w = v + 1.0\n    z = v - 1.0\n    return z, w\n"
            f"def f(x: Float, y: Float) -> Float:\n{indented}"
        )
