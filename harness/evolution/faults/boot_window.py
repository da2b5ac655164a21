"""The server's process ends at a request and starts again: its port refuses, then its instances come back one state at a time.

Why: whoever asks in between sees a refused connection, an instance without a state, close, connecting and open. Everything that
lived in memory is lost: requests under way, retries of webhooks, acknowledgements.
Evidence: section 7, F23: ECONNREFUSED for 6 to 14 s, then state missing, close, connecting, open; section 5.4.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Arrival, Option


@fault()
def run(
    at: Arrival,
    seconds: Annotated[float, Option(text="for how long connections are refused", unit="s", least=0.001)] = 10.0,
    loading: Annotated[float, Option(text="for how long the instances then have no state", unit="s")] = 1.0,
) -> None:
    at.down, at.loading = seconds, loading
