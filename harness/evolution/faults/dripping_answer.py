"""An answer comes a few bytes at a time.

Why: every piece comes in time, so a limit on the wait between two bytes never ends it; only a limit on the whole request does.
Evidence: section 7, F22: HTTP open for seconds; here what lies between server and client is slow, not the server.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Answering, Option


@fault()
def run(
    at: Answering,
    seconds: Annotated[float, Option(text="between one piece and the next", unit="s")] = 1.0,
    portion: Annotated[int, Option(text="how much of the body comes at a time", unit="bytes", least=1)] = 16,
) -> None:
    at.pause, at.portion = seconds, portion
