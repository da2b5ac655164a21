"""The connection says open and every use of it fails.

Why: whoever trusts connectionState believes all is well while no message goes out; log-out and delete fail as well.
Evidence: section 7, F6: 500 and 400 "Connection Closed"; issues 1772, 2403, 1286, 1398.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Socket


@fault()
def run(at: Socket) -> None:
    at.dead = True
