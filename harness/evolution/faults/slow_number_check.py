"""WhatsApp takes seconds to say whether a number exists.

Why: the first send to a new number is slower than every later one; time limits set by the later ones are too short.
Evidence: section 7, F22: slow number check.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Checking


@fault()
def run(at: Checking, seconds: float = 10.0) -> None:
    at.hold = seconds
