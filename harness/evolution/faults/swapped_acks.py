"""Acknowledgements come in the opposite order: DELIVERY_ACK before SERVER_ACK.

Why: a status must never go back; whoever stores the last one shows a delivered message as merely sent.
Evidence: section 5.3: repeats and regressions are passed through; section 6.1: observed inversion.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Acknowledging


@fault()
def run(at: Acknowledging) -> None:
    moments = [moment for moment, _ in at.plan]
    at.plan = list(zip(moments, [status for _, status in reversed(at.plan)], strict=True))
