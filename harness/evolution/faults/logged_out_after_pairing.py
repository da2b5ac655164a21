"""Seconds after it opened the connection is logged out: close 401.

Why: the customer saw "connected" and believes it; the instance needs a new QR code.
Evidence: section 7, F12: 515 after pairing followed by 401; issue 2498.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Opened, Option


@fault()
def run(
    at: Opened,
    seconds: Annotated[float, Option(text="how long the connection stays open", unit="s")] = 3.0,
) -> None:
    at.close, at.seconds, at.message = 401, seconds, "Stream Errored (conflict) device_removed"
