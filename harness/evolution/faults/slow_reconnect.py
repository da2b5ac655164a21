"""A silent drop lasts: the state stays close for seconds before it is connecting again, and no close event tells.

Why: only a poller sees it, and a poller that reacts with connect starts a second socket.
Evidence: section 7, F11: the state close is visible for milliseconds to seconds.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Option, Reconnecting


@fault()
def run(
    at: Reconnecting,
    seconds: Annotated[float, Option(text="for how much longer the state stays close", unit="s")] = 5.0,
) -> None:
    at.hold = seconds
