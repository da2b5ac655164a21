"""A message sent through the API also arrives as messages.upsert with fromMe.

Why: a bot that does not look at fromMe answers itself.
Evidence: section 7, F27: issue 956.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Sent


@fault()
def run(at: Sent) -> None:
    at.echo = True
