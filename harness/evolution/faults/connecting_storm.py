"""WhatsApp is unreachable: socket after socket starts and fails, each with a connecting event, without back-off.

Why: tens of events a minute; a backend that reacts to each by calling connect makes it worse.
Evidence: section 7, F10: 25 connecting events in 2.5 s; issues 2430, 550, 765.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Option, Starting


@fault()
def run(
    at: Starting,
    seconds: Annotated[float, Option(text="how long each socket lives", unit="s", least=0.001)] = 0.05,
) -> None:
    at.lives = seconds
