"""Delete answers SUCCESS and the instance remains, its name still taken.

Why: creating it again answers 403; whoever trusts the answer loses track of a live instance.
Evidence: section 7, F19: issues 2647, 1153.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Deleting


@fault()
def run(at: Deleting) -> None:
    at.kept = True
