"""The connection ends in the middle of an answer.

Why: status 200 and half a JSON document: neither success nor failure.
Evidence: section 7, F23: the process ends while it answers.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Arrival, Cut


@fault()
def run(_: Arrival) -> None:
    raise Cut(reset=False)
