"""Policies on the terminal, in the words of `policies.explain`. Needs the extra `cli`."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from crossmargin.policies import Policy
from crossmargin.policies.building import EVIDENCE
from crossmargin.policies.explain import differences, explain, unconfirmed
from crossmargin.report.console import new_grid


def print_policy(policy: Policy, console: Console) -> None:
    """Print what a policy is and does, table by table.

    Parameters
    ----------
    policy
        The policy.
    console
        Where to print.
    """
    console.print(Text(f"{policy.name}: {policy.title}", style="bold"))
    for name, value in (
        ("effective from", policy.effective_from),
        ("authority", policy.authority),
        ("extends", policy.extends),
        ("hash", policy.hash),
    ):
        if value:
            console.print(Text(f"  {name}: {value}"))
    for section in explain(policy):
        console.print()
        console.print(Text.assemble((f"[{section.name}]", "bold"), f" {section.purpose}"))
        grid = new_grid(console)
        for head in ("parameter", "value", "evidence", "what it is", "source"):
            grid.add_column(head, no_wrap=head in ("parameter", "evidence"))
        for entry in section.entries:
            name = entry.name.removeprefix(f"{section.name}.")
            cells = (name, entry.value, entry.evidence, entry.meaning, entry.source)
            grid.add_row(*map(Text, cells))
        console.print(grid)
    console.print()
    for evidence, meaning in EVIDENCE.items():
        console.print(Text(f"{evidence}: {meaning}"))
    names = unconfirmed(policy)
    console.print()
    console.print(Text(f"Unconfirmed, {len(names)}: {', '.join(names) or 'none'}"))


def print_differences(a: Policy, b: Policy, console: Console) -> None:
    """Print how two policies differ.

    Parameters
    ----------
    a, b
        The policies.
    console
        Where to print.
    """
    for mark, policy in (("A", a), ("B", b)):
        line = f"{mark}  {policy.name}, effective from {policy.effective_from}, hash {policy.hash}"
        console.print(Text(line))
    console.print()
    found = differences(a, b)
    if not found:
        console.print("No parameter differs.")
        return
    grid = new_grid(console)
    for head in ("parameter", "A", "evidence A", "B", "evidence B"):
        grid.add_column(head)
    for item in found:
        cells = (item.name, item.value_a, item.evidence_a, item.value_b, item.evidence_b)
        grid.add_row(*(Text("" if cell is None else cell) for cell in cells))
    console.print(grid)
