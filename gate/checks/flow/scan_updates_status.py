"""A scan makes the status `connected`, with its reason and time, and takes the QR code away.

Why: a status that stays `qr` lets people scan again and again; a code that stays visible lets somebody else take the number over.
Fix: on `connection.update` with state `open` set connected, scan_completed, connectedAt, and clear the code, within 5 s.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive
from gate.facts.flow import FlowObservations
from gate.facts.worlds import PlantedFlow
from gate.model import Evidence, Severity
from gate.registry import check

LONGEST_S = 5.0


@check(severity=Severity.CRITICAL, order=51, tags={"seed"})
def run(flow: FlowObservations) -> Iterator[Evidence]:
    if not flow.before_scan:
        raise Inconclusive("the status before the scan was not read")
    before = flow.before_scan.get("status")
    if before != "qr":
        raise Failure(f"before the scan the status is {before!r}, expected 'qr'")
    if not flow.before_scan.get("qrCode"):
        raise Failure("before the scan the status shows no QR code, expected one")
    if flow.scan_took_s is None or not flow.after_scan:
        last = flow.after_scan[-1].get("status") if flow.after_scan else before
        raise Failure(
            f"{flow.statuses_read_s:g} s after the scan the status is {last!r}, expected 'connected' within {LONGEST_S:g} s"
        )
    if flow.scan_took_s > LONGEST_S:
        raise Failure(f"the status was connected {flow.scan_took_s:.1f} s after the scan, expected within {LONGEST_S:g} s")
    after = flow.after_scan[-1]
    for name, wanted in (("status", "connected"), ("reason", "scan_completed")):
        if after.get(name) != wanted:
            raise Failure(f"after the scan {name} is {after.get(name)!r}, expected {wanted!r}")
    if not after.get("connectedAt"):
        raise Failure("after the scan connectedAt is not set")
    if after.get("qrCode"):
        raise Failure("after the scan the status still shows a QR code, expected none")
    yield Evidence(label="status after the scan", value="connected, scan_completed")
    yield Evidence(label="seconds from the scan to the status", value=round(flow.scan_took_s, 3), unit="s")


@run.breaks
def webhook_of_another_secret(flow: PlantedFlow) -> None:
    flow.plant("webhook-secret-mismatch")


@run.breaks
def code_kept_after_the_scan(flow: PlantedFlow) -> None:
    flow.plant("qr-kept-after-scan")
