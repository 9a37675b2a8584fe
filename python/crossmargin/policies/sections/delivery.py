"""Whether Treasury futures stay cross-margined up to their delivery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from crossmargin.policies.sections.common import Rules

NEVER, FIRST_INTENTION_DAY, FIRST_DAY = "never", "first_intention_day", "first_day"


@dataclass(frozen=True)
class DeliveryMonthRules:
    """From when on a Treasury future may no longer be cross-margined."""

    table: ClassVar[str] = "delivery_month"
    purpose: ClassVar[str] = "Whether Treasury futures leave the programme before their delivery."
    futures_leave: Annotated[
        str,
        "`never`; `first_intention_day`, two business days before the first business day of the "
        "delivery month; or `first_day` of the delivery month",
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        known = (NEVER, FIRST_INTENTION_DAY, FIRST_DAY)
        return {f"futures_leave must be one of {', '.join(known)}": self.futures_leave in known}
