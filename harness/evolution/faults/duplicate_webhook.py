"""An event is delivered more than once.

Why: a backend that does not know a key id again stores and answers the same message twice.
Evidence: section 7, F1: twice within milliseconds or every 30 s for days; issues 631, 1325, 1746.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Emission, Option


@fault(event="messages.upsert")
def run(
    at: Emission,
    copies: Annotated[int, Option(text="how often the event is delivered altogether", unit="deliveries", least=2, most=1000)] = 2,
    seconds: Annotated[float, Option(text="between one delivery and the next", unit="s")] = 0.0,
) -> None:
    at.copies = [first + index * seconds for first in at.copies for index in range(copies)]
