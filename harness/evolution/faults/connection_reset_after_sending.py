"""The connection is reset after WhatsApp has the message and before the answer.

Why: the worst place to lose a connection: the message is out and nobody was told its id.
Evidence: section 7, F22 and F23: the process ends between the send and the answer.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Cut, Sent


@fault()
def run(_: Sent) -> None:
    raise Cut
