"""After the scan the status says connected, and why.

Why: a status that stays behind makes people scan again, which breaks the pairing that they had.
Fix: look whether the `connection.update` webhook arrives; the poll must correct a missed one without a restart.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.model import Evidence
from gate.registry import probe
from harness.smoke.walk import Walk


@probe(order=70)
def run(walk: Walk) -> Iterator[Evidence]:
    answer = walk.status()
    yield from answer.evidence()
    status, reason = answer.field("status"), answer.field("reason")
    # A unit that has been connected for a while may have dropped and come back meanwhile.
    reasons = ("scan_completed", "reconnected") if walk.connected_since else ("scan_completed",)
    if status != "connected" or reason not in reasons:
        raise Failure(f"status is {status!r}, {reason!r}, not 'connected', {' or '.join(map(repr, reasons))}; {answer.request}")
    if not answer.field("connectedAt"):
        raise Failure(f"connectedAt is not set; {answer.request}")
    if answer.field("qrCode"):
        raise Failure(f"the QR code is still shown although the unit is connected; {answer.request}")
    yield Evidence(label="status", value="connected")
    yield Evidence(label="reason", value=str(reason))
    yield Evidence(label="connected at", value=str(answer.field("connectedAt")))
