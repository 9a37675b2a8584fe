"""Every result table as data."""

from __future__ import annotations

from crossmargin.results.schemas.allocation import ALLOCATION_TABLES
from crossmargin.results.schemas.attribution import (
    ATTRIBUTION,
    ATTRIBUTION_ACCOUNTS,
    ATTRIBUTION_BOOK,
    ATTRIBUTION_POSITIONS,
    ATTRIBUTION_SCENARIOS,
)
from crossmargin.results.schemas.calls import CALL_TABLES
from crossmargin.results.schemas.compare import COMPARE, REVALUATION
from crossmargin.results.schemas.cycle import CYCLE_FILES
from crossmargin.results.schemas.explain import EXPLAINED
from crossmargin.results.schemas.fallback import FALLBACK_TABLE
from crossmargin.results.schemas.ledger import LEDGER_TABLES
from crossmargin.results.schemas.reconcile import RECONCILIATION_TABLES
from crossmargin.results.schemas.replay import REPLAY
from crossmargin.results.schemas.run import RUN_TABLES
from crossmargin.results.schemas.stress import STRESS_COMPONENTS, STRESS_MOVES, STRESS_SCENARIOS
from crossmargin.results.schemas.upcoming import UPCOMING_COSTS, UPCOMING_EVENTS
from crossmargin.results.schemas.whatif import IMPACT_TABLE, IMPACTS, INCREMENTS, WHAT_IFS

SCHEMAS = (
    *RUN_TABLES,
    COMPARE,
    REPLAY,
    WHAT_IFS,
    IMPACTS,
    INCREMENTS,
    IMPACT_TABLE,
    REVALUATION,
    *EXPLAINED,
    *ALLOCATION_TABLES,
    *CYCLE_FILES,
    FALLBACK_TABLE,
    *CALL_TABLES,
    *RECONCILIATION_TABLES,
    ATTRIBUTION_BOOK,
    ATTRIBUTION_ACCOUNTS,
    ATTRIBUTION,
    ATTRIBUTION_POSITIONS,
    ATTRIBUTION_SCENARIOS,
    STRESS_MOVES,
    STRESS_SCENARIOS,
    STRESS_COMPONENTS,
    UPCOMING_EVENTS,
    UPCOMING_COSTS,
    *LEDGER_TABLES,
)
"""Every result table."""
