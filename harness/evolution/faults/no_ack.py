"""A send is answered with 201 PENDING and never acknowledged.

Why: silent non-delivery: 201 means queued by the socket, nothing more.
Evidence: section 7, F7: issues 1938, 2669, 2597.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Acknowledging


@fault()
def run(at: Acknowledging) -> None:
    at.plan = []
