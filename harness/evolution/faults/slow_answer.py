"""Any request waits for seconds before anything looks at it.

Why: an overloaded server; a client without a time limit waits with it and so does whoever waits for the client.
Evidence: section 4.1: the welcome page is slow when WhatsApp hangs; section 7, F22.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Arrival, Option


@fault()
def run(
    at: Arrival,
    seconds: Annotated[float, Option(text="how long the request waits", unit="s")] = 10.0,
) -> None:
    at.hold = seconds
