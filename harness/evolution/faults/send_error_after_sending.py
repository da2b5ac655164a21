"""A send is answered with an error although WhatsApp has the message.

Why: a client that tries again sends twice; there is no idempotency key to help it.
Evidence: section 7, F22: the answer fails after the message has gone out.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Sent, refusal


@fault()
def run(_: Sent, status: int = 500, message: str = "Timed Out") -> None:
    raise refusal(status, message)
