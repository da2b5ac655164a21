"""Asking WhatsApp about many numbers at once ends in a ban.

Why: whatsappNumbers has no limit and never complains; the account pays.
Evidence: section 7, F14: issue 2228.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Checking


@fault()
def run(at: Checking, most: int = 50) -> bool:
    if at.numbers <= most:
        return False
    at.close = 403
    return True
