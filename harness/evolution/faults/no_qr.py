"""No QR code comes: create and connect answer `{"count":0}` and the state stays connecting.

Why: a page that waits for the code in the answer shows nothing for ever.
Evidence: section 7, F9: issues 2385, 1541, 2437.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import QrCode


@fault()
def run(at: QrCode) -> None:
    at.withheld = True
