"""A send is refused before WhatsApp gets the message.

Why: nothing went out, so trying again is right; a client that gives up loses the message.
Evidence: section 4.6: 500 "Connection Closed" of a dead socket, issues 1772 and 2403.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Sending, refusal


@fault()
def run(_: Sending, status: int = 500, message: str = "Connection Closed") -> None:
    raise refusal(status, message)
