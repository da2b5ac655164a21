"""Before the scan the status says that it waits for one.

Why: people act on what the status says; a wrong reason sends them to the wrong place.
Fix: look whether the `qrcode.updated` webhook arrives and sets status and reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.model import Evidence
from gate.registry import probe
from harness.errors import NotInTimeError
from harness.smoke.walk import VISIBLE_S, Walk


@probe(order=50)
def run(walk: Walk) -> Iterator[Evidence]:
    if walk.connected_since:
        yield Evidence(label="already connected since", value=walk.connected_since)
        return
    try:
        answer = walk.await_status(
            lambda status: (status.field("status"), status.field("reason")) == ("qr", "waiting_scan"),
            within_s=VISIBLE_S,
            what="status qr, waiting_scan",
        )
    except NotInTimeError:
        answer = walk.status()
        raise Failure(
            f"status is {answer.field('status')!r}, {answer.field('reason')!r} after {VISIBLE_S:g} s, not 'qr', 'waiting_scan';"
            f" {answer.request}"
        ) from None
    yield from answer.evidence()
    yield Evidence(label="status", value="qr")
    yield Evidence(label="reason", value="waiting_scan")
