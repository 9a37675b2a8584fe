"""Who and what may be cross-margined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from crossmargin.book.schemas import ACCOUNTS, OMNIBUS, SECURITIES
from crossmargin.instruments.contracts import roots
from crossmargin.policies.sections.common import Rules, all_choices


@dataclass(frozen=True)
class Eligibility:
    """Which accounts and instruments may be cross-margined."""

    table: ClassVar[str] = "eligibility"
    purpose: ClassVar[str] = (
        "Whose accounts, which securities and which futures may be cross-margined."
    )
    security_types: Annotated[tuple[str, ...], "types of Treasuries"]
    remaining_months: Annotated[
        int, "a security must mature more than this many months after the as-of date"
    ]
    roots: Annotated[tuple[str, ...], "futures contracts"]
    house_roles: Annotated[tuple[str, ...], "roles at FICC of the firm's own accounts"]
    customer_roles: Annotated[tuple[str, ...], "roles at FICC of customers"]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        roles = self.house_roles + self.customer_roles
        return {
            "security_types holds an unknown type": all_choices(
                self.security_types, SECURITIES, "type"
            ),
            "house_roles or customer_roles holds an unknown role": all_choices(
                roles, ACCOUNTS, "ficc_role"
            ),
            "customer_roles and house_roles cannot hold omnibus: its members net with each other": (
                OMNIBUS not in roles
            ),
            "remaining_months must be 0 to 1200": 0 <= self.remaining_months <= 1200,
            "roots holds an unknown root": set(self.roots) <= set(roots()),
        }
