"""Media arrives without `base64` although the webhook asks for it.

Why: the download failed and nothing says so; a backend that expects the content crashes or stores nothing.
Evidence: section 7, F20: issues 1555, 1935, 2233.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Incoming


@fault()
def run(at: Incoming) -> None:
    at.media = False
