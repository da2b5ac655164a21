"""A silent drop lasts: the state stays close for seconds before it is connecting again, and no close event tells.

Why: only a poller sees it, and a poller that reacts with connect starts a second socket.
Evidence: section 7, F11: the state close is visible for milliseconds to seconds.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Reconnecting


@fault()
def run(at: Reconnecting, seconds: float = 5.0) -> None:
    at.hold = seconds
