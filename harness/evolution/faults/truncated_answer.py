"""The connection ends in the middle of an answer.

Why: status 200 and half a JSON document: neither success nor failure; what was asked for has been done.
Evidence: section 7, F23: the process ends while it answers.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Answering, Option


@fault()
def run(
    at: Answering,
    share: Annotated[float, Option(text="how much of the body is written", unit="of 1", most=0.99)] = 0.5,
) -> None:
    at.cut_at = at.head_bytes + int(at.body_bytes * share)
