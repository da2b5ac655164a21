"""WhatsApp refuses the telephone that scans the QR code: the code stays on show and the state stays connecting.

Why: after a ban or too many attempts WhatsApp lets nobody pair for a day; the code looks good and leads nowhere.
Evidence: section 7, F13: QR refused for 24 h; issues 2298, 2497.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Pairing


@fault()
def run(at: Pairing) -> None:
    at.refused = True
