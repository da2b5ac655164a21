"""An answer is longer or shorter than its Content-Length says.

Why: too long a promise leaves the client waiting for bytes that never come, too short a one cuts the JSON off although all of it
was sent. The connection ends afterwards. What was asked for has been done.
Evidence: section 7, F24: what stands between rewrites answers; section 3: idle connections end after 5 s.
"""

from __future__ import annotations

from typing import Annotated, Literal

from gate.registry import fault
from harness.evolution.injection import Answering, Option


@fault()
def run(
    at: Answering,
    promise: Annotated[Literal["too-long", "too-short"], Option(text="what Content-Length is")] = "too-long",
    off_by: Annotated[int, Option(text="by how much", unit="bytes", least=1)] = 16,
    seconds: Annotated[float, Option(text="how long a connection that owes bytes stays open", unit="s")] = 5.0,
) -> None:
    if promise == "too-long":
        at.excess, at.linger = off_by, seconds
    else:
        at.excess = -off_by
