"""An event is delivered again and again, as after answers that never arrived.

Why: delivery is at least once: the same body comes two to ten times over twenty minutes.
Evidence: section 7, F2: redelivery after a timeout or 5xx, issue 1325.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Emission, Option


@fault(event="messages.upsert")
def run(
    at: Emission,
    times: Annotated[int, Option(text="how often the event is delivered altogether", unit="deliveries", least=2, most=12)] = 4,
    initial: Annotated[
        float, Option(text="between the first delivery and the second; each later wait is twice as long", unit="s")
    ] = 5.0,
) -> None:
    at.copies = [0.0, *(initial * (2.0**step - 1) for step in range(1, times))]
