"""The connection is reset (RST) in the middle of an answer.

Why: what was asked for has been done and the client cannot know; with few bytes not even the status has come.
Evidence: section 7, F23: the process ends, or the network does, while it answers.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Answering, Option


@fault()
def run(
    at: Answering,
    after: Annotated[int, Option(text="how much of the answer comes first, its head included", unit="bytes")] = 0,
) -> None:
    at.cut_at, at.reset = after, True
