"""A send takes seconds before the message goes out.

Why: a client whose time limit ends first does not know that the message is still going to be sent.
Evidence: section 7, F22: HTTP open for seconds.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Option, Sending


@fault()
def run(
    at: Sending,
    seconds: Annotated[float, Option(text="how long the message waits before it goes out", unit="s")] = 10.0,
) -> None:
    at.hold = seconds
