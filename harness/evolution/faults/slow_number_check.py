"""WhatsApp takes seconds to say whether a number exists.

Why: the first send to a new number is slower than every later one; time limits set by the later ones are too short.
Evidence: section 7, F22: slow number check.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Checking, Option


@fault()
def run(
    at: Checking,
    seconds: Annotated[float, Option(text="how long WhatsApp's answer takes", unit="s")] = 10.0,
) -> None:
    at.hold = seconds
