"""A request is accepted and never answered.

Why: without a time limit of its own a client waits for ever, and with it whoever waits for the client. When the fault is
withdrawn, or its window ends, the request goes on: what a client has given up may still be carried out.
Evidence: section 4.1: the welcome page hangs when WhatsApp's site does; section 7, F22: HTTP stays open past the client's limit.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Arrival


@fault()
def run(at: Arrival) -> None:
    at.held_by = at.by
