"""A proxy in front of the server answers 429 with Retry-After.

Why: the server itself never limits; whoever runs it behind a gateway meets this and must slow down, not fail.
Evidence: section 3: no 429 is ever produced by the server, so it comes from what stands before it.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Arrival, refusal


@fault()
def run(_: Arrival, seconds: int = 2, message: str = "Too Many Requests") -> None:
    error = refusal(429, message)
    error.headers["Retry-After"] = str(seconds)
    raise error
