"""An event is delivered again and again, as after answers that never arrived.

Why: delivery is at least once: the same body comes two to ten times over twenty minutes.
Evidence: section 7, F2: redelivery after a timeout or 5xx, issue 1325.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Emission


@fault(event="messages.upsert")
def run(at: Emission, times: int = 4, initial: float = 5.0) -> None:
    at.copies = [0.0, *(initial * (2.0**step - 1) for step in range(1, times))]
