"""A send is refused before WhatsApp gets the message.

Why: nothing went out, so trying again is right; a client that gives up loses the message.
Evidence: section 4.6: 500 "Connection Closed" of a dead socket, issues 1772 and 2403.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Option, Sending, refusal


@fault()
def run(
    _: Sending,
    status: Annotated[int, Option(text="what the server answers with", unit="HTTP status", least=400, most=599)] = 500,
    message: Annotated[str, Option(text="the error's text")] = "Connection Closed",
) -> None:
    raise refusal(status, message)
