"""`crossmargin policy`: what a policy says, and how two differ."""

from __future__ import annotations

from typing import Annotated

import typer

from crossmargin.cli.output import output, print_line
from crossmargin.policies import read_policy, shipped_policies
from crossmargin.policies.policy import DEFAULT

policies = typer.Typer(
    name="policy",
    help="Explain, compare and check policies: the parameters of the agreement and the models.",
    no_args_is_help=True,
)
POLICY = typer.Argument(metavar="FILE|NAME", help="A policy file, or the name of a shipped one.")


@policies.command("show")
def show_policy(policy: Annotated[str | None, POLICY] = None) -> None:
    """Say what a policy does: each parameter, its value, evidence and source."""
    # No other command needs it.
    from crossmargin.report.policy import print_policy

    print_policy(read_policy(policy), output())


@policies.command("diff")
def diff_policies(policy_a: Annotated[str, POLICY], policy_b: Annotated[str, POLICY]) -> None:
    """Show how two policies differ."""
    from crossmargin.report.policy import print_differences

    print_differences(read_policy(policy_a), read_policy(policy_b), output())


@policies.command("check")
def check_policy(policy: Annotated[str, POLICY]) -> None:
    """Say whether a policy can be used; exit code 2 if not."""
    # No other command has a use for it.
    from crossmargin.margin.ccps import clearing_houses

    checked = read_policy(policy)
    clearing_houses(checked)
    print_line(f"OK: {checked.name}, effective from {checked.effective_from}, hash {checked.hash}")


@policies.command("list")
def list_policies() -> None:
    """List the policies that come with the package."""
    for name in shipped_policies():
        default = " (default)" if name == DEFAULT else ""
        print_line(f"{name}  {read_policy(name).title}{default}")
