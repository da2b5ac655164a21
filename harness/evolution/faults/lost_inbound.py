"""A message from a customer never reaches the webhook nor the database.

Why: undecryptable or wrongly dropped messages are gone for good; only the customer knows.
Evidence: section 7, F4: issues 2110, 1762, 1774, 1847, 2647.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Incoming


@fault()
def run(at: Incoming) -> None:
    at.lost = True
