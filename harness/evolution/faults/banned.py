"""WhatsApp bans the account after a send: close 403, and only a new QR code brings it back.

Why: whatever is queued must stop; sending on makes the ban longer.
Evidence: section 7, F13: issues 2298, 2497, 439.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Sent


@fault()
def run(at: Sent) -> None:
    at.close = 403
