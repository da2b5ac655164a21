"""Events arrive in another order than they happened.

Why: a backend that takes the last event for the newest state goes back from READ to SERVER_ACK.
Evidence: section 7, F3: contacts before the message, acknowledgements swapped, bursts shuffled; issue 1307.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Emission, Option


@fault()
def run(
    at: Emission,
    seconds: Annotated[float, Option(text="by how much an event is late at most", unit="s")] = 2.0,
) -> None:
    at.copies = [first + at.noise * seconds for first in at.copies]
