"""The instance is in the database and not in memory: it cannot be used, and its name is taken.

Why: connectionState has no state, sends crash with 500, create answers 403: three answers that look like three problems.
Evidence: section 7, F17: issues 1412, 2583.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Memory


@fault()
def run(at: Memory) -> None:
    at.missing = True
