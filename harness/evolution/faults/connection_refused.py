"""Nobody listens on the server's port: connections are refused (ECONNREFUSED).

Why: the process is down or a firewall rejects. Nothing was sent, so trying again is safe, and trying at once is pointless.
Requests under way are finished and idle connections closed; the control plane stays reachable at its own address. Closing the
port counts as one firing: what the operating system refuses is not seen by anybody.
Evidence: section 7, F23: ECONNREFUSED for 6 to 14 s.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Listening, Option


@fault()
def run(
    at: Listening,
    seconds: Annotated[
        float, Option(text="for how long each firing closes the port; 0 for as long as the fault lasts", unit="s")
    ] = 0.0,
) -> None:
    at.refused, at.seconds = True, seconds
