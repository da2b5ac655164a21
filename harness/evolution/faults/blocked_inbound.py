"""One inbound message holds up every later one of the instance: minutes of silence, then a burst.

Why: the real queue waits for the retries of an edit; silence is not proof that nobody writes.
Evidence: section 7, F21 and section 6.5: measured 5.9 s with short settings, 20 minutes with the defaults.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Incoming, Option


@fault()
def run(
    at: Incoming,
    seconds: Annotated[float, Option(text="for how long the message holds up the queue", unit="s")] = 60.0,
) -> None:
    at.hold = seconds
