"""Write the `_scalar.py` beside each `rule.py`: the same rule for one account in plain numbers.

``python tools/scalar.py`` writes them all. A rule is stated once, on columns. On columns of length
one, NumPy's calls would take most of the time.

A function of a rule is assignments, loops over buckets, and a return. It may use
arithmetic, comparisons, tuples, items of tuples, ``&``, ``|`` and ``~`` of flags, ``np.where``,
``np.select``, ``np.minimum``, ``np.maximum``, ``np.abs``, ``np.sqrt``, ``np.asarray``, ``cents``,
and other functions of its module that have no loop, which are inlined. An expression that would be
evaluated twice needs a name, such as an argument of ``np.minimum``. A function that returns
`PortfolioColumns` is applied to each margin portfolio in turn.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1] / "python" / "crossmargin"
RULES = {
    "agreement": (
        *("standing_alone", "together", "settled"),
        *("lower_of_models", "by_reduction", "agreed", "reduced", "required"),
        "share_left",
    ),
    "margin/ficc": ("v_ficc", "v_ficc_haircut", "haircut"),
    "margin/cme": (
        *("v_cme", "larger", "v_cme_stressed", "v_span"),
        *("scan_loss", "spread_delta", "held_on_side"),
    ),
    "margin/charges": ("net_cost", "beyond_volume", "above_share", "rate_of"),
}
"""The packages that have a rule, and the functions to write in plain numbers."""

COLUMNS = "PortfolioColumns"
PORTFOLIOS = ("cash", "futures", "combined", "other", "all")
TYPES = {
    "Float": "float",
    "Mask": "bool",
    "Integer": "int",
    "PortfolioColumns": "Portfolios",
    "FlagColumns": "Flags",
    "BucketColumns": "Sequence[float]",
    "BucketTable": "Sequence[Sequence[float]]",
}
SAME_CALLS = {"np.abs": "abs", "np.sqrt": "sqrt", "cents": "cents_of"}
"""Functions of columns, and of numbers."""
SAME = (
    *(ast.Name, ast.Constant, ast.Load, ast.Tuple, ast.Subscript, ast.BinOp, ast.Compare),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.USub, ast.cmpop),
)
"""Expressions that mean the same in plain numbers."""

Functions = dict[str, ast.FunctionDef]
Line = ast.Assign | ast.For


class RuleError(ValueError):
    """A rule uses an expression that has no form in plain numbers."""

    def __init__(self, node: ast.AST, problem: str) -> None:
        super().__init__(f"line {getattr(node, 'lineno', '?')}: {problem}: {ast.unparse(node)}")


class Renamed(ast.NodeTransformer):
    """Replaces names by expressions."""

    def __init__(self, by: dict[str, ast.expr]) -> None:
        self._by = by

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Return the expression that replaces a name."""
        return self._by.get(node.id, node)


class PlainNumbers(ast.NodeTransformer):
    """Turns an expression over columns into one over numbers."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Return an expression with the same meaning, or raise."""
        if not isinstance(node, SAME):
            raise RuleError(node, "a rule cannot use this expression")
        return super().generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """Return ``not`` for ``~``."""
        operator = ast.Not() if isinstance(node.op, ast.Invert) else self.visit(node.op)
        return ast.UnaryOp(op=operator, operand=self.visit(node.operand))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Return ``and`` for ``&``, ``or`` for ``|``."""
        if not isinstance(node.op, ast.BitAnd | ast.BitOr):
            return self.generic_visit(node)
        operator = ast.And() if isinstance(node.op, ast.BitAnd) else ast.Or()
        return ast.BoolOp(op=operator, values=[self.visit(node.left), self.visit(node.right)])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Return the expression that replaces a call."""
        name = ast.unparse(node.func)
        if node.keywords:
            raise RuleError(node, "give arguments by position")
        if name in self._functions:
            before, value = in_place(self._functions[name], node)
            if before:
                raise RuleError(node, "assign it first: its statements have to come before")
            result: ast.expr = self.visit(value)
            return result
        if name == "np.select":
            conditions, choices, otherwise = node.args
            if not isinstance(conditions, ast.List) or not isinstance(choices, ast.List):
                raise RuleError(node, "write both lists out")
            result = self.visit(otherwise)
            for pair in reversed(list(zip(conditions.elts, choices.elts, strict=True))):
                condition, choice = map(self.visit, pair)
                result = ast.IfExp(test=condition, body=choice, orelse=result)
            return result
        args: list[ast.expr] = [self.visit(arg) for arg in node.args]
        if name == "np.asarray":
            (same,) = args
            return same
        if name == "np.where":
            condition, a, b = args
            return ast.IfExp(test=condition, body=a, orelse=b)
        if name in ("np.minimum", "np.maximum"):
            a, b = map(atom, args)
            order = ast.LtE() if name == "np.minimum" else ast.Gt()
            condition = ast.Compare(left=a, ops=[order], comparators=[b])
            return ast.IfExp(test=condition, body=a, orelse=b)
        if name in SAME_CALLS:
            return ast.Call(func=ast.Name(SAME_CALLS[name]), args=args, keywords=[])
        raise RuleError(node, "a rule cannot use this function")


def atom(node: ast.expr) -> ast.expr:
    """Return the expression if it may be evaluated twice, or raise."""
    if not isinstance(node, ast.Name | ast.Constant):
        raise RuleError(node, "give it a name first: it would be evaluated twice")
    return node


def parts(function: ast.FunctionDef) -> tuple[list[Line], ast.expr]:
    """Return the assignments and loops of a function, and what it returns."""
    *before, last = copy.deepcopy(function.body[ast.get_docstring(function) is not None :])
    if not isinstance(last, ast.Return) or last.value is None:
        raise RuleError(function, "a function of a rule ends in a return")
    return lines_of(before), last.value


def lines_of(statements: list[ast.stmt]) -> list[Line]:
    """Return statements, checked to be assignments and loops."""
    lines: list[Line] = []
    for statement in statements:
        if not isinstance(statement, ast.Assign | ast.For):
            raise RuleError(statement, "a function of a rule has only assignments and loops")
        lines.append(statement)
    return lines


def without_loops(function: ast.FunctionDef, lines: list[Line]) -> list[ast.Assign]:
    """Return the lines of a function that cannot have loops."""
    assignments = [line for line in lines if isinstance(line, ast.Assign)]
    if len(assignments) < len(lines):
        raise RuleError(function, "a loop cannot be used in another function, nor by portfolio")
    return assignments


def names_in(*nodes: ast.AST) -> list[str]:
    """Return the names in use, once for each use."""
    return [n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)]


def in_place(
    function: ast.FunctionDef, call: ast.Call, target: ast.expr | None = None
) -> tuple[list[ast.Assign], ast.expr]:
    """Return the assignments of a function and what it returns, for the arguments of a call.

    Its own names become those that the call's result is assigned to, or get its name in front.
    """
    if call.keywords:
        raise RuleError(call, "give arguments by position")
    lines, value = parts(function)
    before = without_loops(function, lines)
    parameters = [parameter.arg for parameter in function.args.args]
    by = dict(zip(parameters, call.args, strict=True))
    used = names_in(*before, value)
    for parameter, argument in by.items():
        if used.count(parameter) > 1:
            atom(argument)
    own = set(names_in(*(name for line in before for name in line.targets)))
    by |= {name: ast.Name(f"{function.name}_{name}") for name in own}
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for to, what in zip(target.elts, value.elts, strict=True):
            if isinstance(to, ast.Name) and isinstance(what, ast.Name) and what.id in own:
                by[what.id] = ast.Name(to.id)
                if to.id in names_in(*call.args):
                    raise RuleError(call, f"{to.id} is an argument: assign to another name")
    return [Renamed(by).visit(line) for line in before], Renamed(by).visit(value)


def in_plain_numbers(lines: Sequence[Line], functions: Functions) -> list[Line]:
    """Return lines on numbers, from those on columns."""
    result: list[Line] = []
    for line in lines:
        if isinstance(line, ast.For):
            over = line.iter
            zipped = isinstance(over, ast.Call) and ast.unparse(over.func) == "zip"
            if not (zipped or isinstance(over, ast.Name)):
                raise RuleError(over, "a loop is over columns by their names, or zip(...) of them")
            line.body = list(in_plain_numbers(lines_of(line.body), functions))
            result.append(line)
            continue
        call = line.value
        if isinstance(call, ast.Call) and ast.unparse(call.func) in functions:
            (target,) = line.targets
            before, value = in_place(functions[ast.unparse(call.func)], call, target)
            result += in_plain_numbers([*before, ast.Assign([target], value)], functions)
        else:
            line.value = PlainNumbers(functions).visit(line.value)
            result += one_by_one(line)
    return result


def one_by_one(line: ast.Assign) -> list[ast.Assign]:
    """Return an assignment for each name, if none is used in what others are assigned."""
    (target,) = line.targets
    if not isinstance(target, ast.Tuple) or not isinstance(line.value, ast.Tuple):
        return [line]
    pairs = [
        (name, value)
        for name, value in zip(target.elts, line.value.elts, strict=True)
        if ast.unparse(name) != ast.unparse(value)
    ]
    changed = {changed for name, _ in pairs for changed in names_in(name)}
    if changed & set(names_in(*(value for _, value in pairs))):
        return [line]
    return [one for name, value in pairs for one in one_by_one(ast.Assign([name], value))]


def by_portfolio(
    parameters: list[str], lines: list[ast.Assign], value: ast.expr
) -> tuple[list[ast.Assign], ast.expr]:
    """Return the assignments and the return value for each margin portfolio in turn."""
    varying = set(parameters)

    def of_each(node: ast.AST) -> list[Any]:
        return [
            Renamed({name: ast.Name(f"{name}_{portfolio}") for name in varying}).visit(
                copy.deepcopy(node)
            )
            for portfolio in PORTFOLIOS
        ]

    result = [
        ast.Assign([ast.Tuple(of_each(ast.Name(name)))], ast.Name(name)) for name in parameters
    ]
    for line in lines:
        if varying & set(names_in(line.value)):
            varying |= set(names_in(*line.targets))
            result += of_each(line)
        else:
            result.append(line)
    return result, ast.Tuple(of_each(value))


def scalar_function(
    function: ast.FunctionDef, functions: Functions, types: dict[str, ast.expr]
) -> str:
    """Return the source of a function in plain numbers."""

    def text(node: ast.expr | None) -> str:
        return "" if node is None else ast.unparse(node)

    def in_types(annotation: ast.expr | None) -> str:
        assert annotation is not None
        return text(Renamed(types).visit(copy.deepcopy(annotation)))

    lines, value = parts(function)
    before, value = in_plain_numbers(lines, functions), PlainNumbers(functions).visit(value)
    given = {parameter.arg: parameter.annotation for parameter in function.args.args}
    if text(function.returns) == COLUMNS:
        columns = [name for name in given if text(given[name]) == COLUMNS]
        by_each, value = by_portfolio(columns, without_loops(function, before), value)
        before = list(by_each)
    written = [ast.fix_missing_locations(line) for line in (*before, ast.Return(value))]
    parameters = "".join(f"    {name}: {in_types(given[name])},\n" for name in given)
    body = indent("\n".join(ast.unparse(line) for line in written), "    ") + "\n"
    return f"def {function.name}(\n{parameters}) -> {in_types(function.returns)}:\n{body}"


def scalar_module(package: str) -> str:
    """Return the source of a package's `_scalar.py`."""
    module = ast.parse((PACKAGE / package / "rule.py").read_text(encoding="utf-8"))
    here = f"crossmargin.{package.replace('/', '.')}.rule"
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    types: dict[str, ast.expr] = {name: ast.Name(plain) for name, plain in TYPES.items()}
    source = {"cents_of": "crossmargin.exact", "sqrt": "math", "Sequence": "collections.abc"}
    source |= dict.fromkeys(("Portfolios", "Flags"), "crossmargin.margin.portfolios")
    for node in module.body:
        if isinstance(node, ast.ImportFrom):
            source |= {alias.name: str(node.module) for alias in node.names}
        elif isinstance(node, ast.Assign):
            (target,) = node.targets
            if isinstance(node.value, ast.Subscript):
                types[ast.unparse(target)] = Renamed(types).visit(copy.deepcopy(node.value))
            source |= dict.fromkeys(names_in(target), here)
    bodies = "\n\n".join(
        scalar_function(functions[name], functions, types) for name in RULES[package]
    )
    imports: dict[str, list[str]] = {}
    for name in sorted(set(names_in(ast.parse(bodies))) & set(source)):
        imports.setdefault(source[name], []).append(name)
    return (
        "# Written by tools/scalar.py from rule.py; do not edit.\n"
        "# fmt: off\n# ruff: noqa\n"
        f'"""What `{here}` says of one account, in plain numbers."""\n\n'
        "from __future__ import annotations\n\n"
        + "".join(f"from {m} import {', '.join(names)}\n" for m, names in sorted(imports.items()))
        + f"\n\n{bodies}"
    )


def main() -> None:
    """Write every `_scalar.py`."""
    for package in RULES:
        (PACKAGE / package / "_scalar.py").write_text(scalar_module(package), encoding="utf-8")


if __name__ == "__main__":
    main()
