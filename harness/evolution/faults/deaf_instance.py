"""The instance is open and sends, but no messages.upsert comes any more.

Why: every health check is green while customers talk to nobody, until the instance is restarted or made anew.
Evidence: section 7, F5: issues 665, 2665, 2714.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Emission


@fault(event="messages.upsert", cured_by_restart=True)
def run(at: Emission) -> None:
    at.copies = []
