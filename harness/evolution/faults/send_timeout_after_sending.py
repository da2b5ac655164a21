"""A send gets no answer for a long time although WhatsApp has the message.

Why: the client's time limit ends first; if it sends again, the customer reads the message twice.
Evidence: section 7, F22: HTTP open for seconds, the message goes out, a retry duplicates it.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Sent


@fault()
def run(at: Sent, seconds: float = 120.0) -> None:
    at.hold = seconds
