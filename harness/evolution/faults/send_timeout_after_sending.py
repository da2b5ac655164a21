"""A send gets no answer for a long time although WhatsApp has the message.

Why: the client's time limit ends first; if it sends again, the customer reads the message twice.
Evidence: section 7, F22: HTTP open for seconds, the message goes out, a retry duplicates it.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Option, Sent


@fault()
def run(
    at: Sent,
    seconds: Annotated[float, Option(text="how long the answer takes once the message is out", unit="s")] = 120.0,
) -> None:
    at.hold = seconds
