"""A send is answered with an error although WhatsApp has the message.

Why: a client that tries again sends twice; there is no idempotency key to help it.
Evidence: section 7, F22: the answer fails after the message has gone out.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Option, Sent, refusal


@fault()
def run(
    _: Sent,
    status: Annotated[int, Option(text="what the server answers with", unit="HTTP status", least=400, most=599)] = 500,
    message: Annotated[str, Option(text="the error's text")] = "Timed Out",
) -> None:
    raise refusal(status, message)
