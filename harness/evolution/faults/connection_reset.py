"""The connection is reset before any answer.

Why: the client cannot know whether the request was carried out; here it was not.
Evidence: section 7, F23: while the server boots its port refuses or resets connections.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Arrival, Cut


@fault()
def run(_: Arrival) -> None:
    raise Cut
