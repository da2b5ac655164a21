"""The connection opens and drops again, in a loop.

Why: open, connecting, open: each drop is silent, and work started on open is cut off.
Evidence: section 7, F10 and F11: issues 2430, 550, 765.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Opened


@fault()
def run(at: Opened, seconds: float = 1.0, code: int = 428) -> None:
    at.close, at.seconds, at.message = code, seconds, "Connection Terminated by Server"
