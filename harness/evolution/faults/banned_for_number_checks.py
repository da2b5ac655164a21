"""Asking WhatsApp about many numbers at once ends in a ban.

Why: whatsappNumbers has no limit and never complains; the account pays.
Evidence: section 7, F14: issue 2228.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Checking, Option


@fault()
def run(
    at: Checking,
    most: Annotated[int, Option(text="how many numbers one check may hold without a ban", unit="numbers")] = 50,
) -> bool:
    if at.numbers <= most:
        return False
    at.close = 403
    return True
