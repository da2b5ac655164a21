"""The backend says that it is alive.

Why: if this does not answer, nothing that follows would say more.
Fix: look at the platform's deploy log and the backend's first log lines; a refused setting stops the start with one line.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.model import Evidence
from gate.registry import probe
from harness.smoke.walk import Walk


@probe(order=10)
def run(walk: Walk) -> Iterator[Evidence]:
    answer = walk.ask("GET", "/health")
    yield from answer.evidence()
    if answer.field("status") != "ok":
        raise Failure(f"GET /health says status {answer.field('status')!r}, not 'ok', {answer.request}")
    yield Evidence(label="version", value=str(answer.field("version") or "not told"))
