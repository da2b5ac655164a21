"""What a scan must change in the status, and how soon."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gate.checks.flow.scan_updates_status import run
from gate.errors import Failure, Inconclusive
from gate.facts.flow import FlowObservations

QR = {"status": "qr", "reason": "waiting_scan", "qrCode": "data:image/png;base64,AA"}
CONNECTED = {"status": "connected", "reason": "scan_completed", "connectedAt": "2026-01-01T00:00:00Z", "qrCode": None}
SOUND = FlowObservations(unit_id="1", before_scan=QR, after_scan=(QR, CONNECTED), scan_took_s=1.2, statuses_read_s=1.2)


def test_a_status_that_follows_the_scan_passes() -> None:
    assert [piece.value for piece in run(SOUND)] == ["connected, scan_completed", 1.2]
    assert list(run(replace(SOUND, scan_took_s=5.0)))


@pytest.mark.parametrize(
    ("flow", "reason"),
    [
        (replace(SOUND, before_scan=QR | {"status": "connecting"}), "before the scan the status is 'connecting', expected 'qr'"),
        (replace(SOUND, before_scan=QR | {"qrCode": None}), "before the scan the status shows no QR code"),
        (
            replace(SOUND, after_scan=(QR,), scan_took_s=None, statuses_read_s=20.0),
            "20 s after the scan the status is 'qr', expected 'connected' within 5 s",
        ),
        (replace(SOUND, after_scan=(), scan_took_s=None), "0?.*after the scan the status is 'qr'"),
        (replace(SOUND, scan_took_s=5.1), "was connected 5.1 s after the scan, expected within 5 s"),
        (replace(SOUND, after_scan=(CONNECTED | {"status": "qr"},)), "after the scan status is 'qr', expected 'connected'"),
        (replace(SOUND, after_scan=(CONNECTED | {"reason": "initializing"},)), "after the scan reason is 'initializing'"),
        (replace(SOUND, after_scan=(CONNECTED | {"connectedAt": None},)), "connectedAt is not set"),
        (replace(SOUND, after_scan=(CONNECTED | {"qrCode": "data:"},)), "still shows a QR code"),
    ],
)
def test_a_status_that_does_not_follow_fails(flow: FlowObservations, reason: str) -> None:
    with pytest.raises(Failure, match=reason):
        list(run(flow))


def test_a_status_that_was_never_read_is_no_answer() -> None:
    with pytest.raises(Inconclusive, match="the status before the scan was not read"):
        list(run(replace(SOUND, before_scan={})))
