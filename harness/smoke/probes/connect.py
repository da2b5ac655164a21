"""Connecting shows a QR code.

Why: this creates the instance at Evolution and registers the webhook; every customer starts here.
Fix: 502 and 503 name the provider's cause; then check EVOLUTION_API_URL, EVOLUTION_API_KEY and BASE_URL.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from gate.errors import Failure
from gate.model import Evidence
from gate.registry import probe
from harness.smoke.session import Answer
from harness.smoke.walk import Walk

PREFIX = "data:image/png;base64,"
PNG = b"\x89PNG\r\n\x1a\n"
QR_WAIT_S = 15.0


@probe(order=40)
def run(walk: Walk) -> Iterator[Evidence]:
    before = walk.status()
    if before.field("status") == "connected":
        walk.connected_since = str(before.field("connectedAt") or "")
        yield from before.evidence()
        if not walk.connected_since:
            raise Failure(f"the unit is connected without connectedAt, {before.request}")
        yield Evidence(label="already connected since", value=walk.connected_since)
        return
    answer = walk.ask(
        "POST", f"/units/{walk.unit}/whatsapp/connect", body={"provider": "evolution", "credentials": {}}, expected=(201, 200)
    )
    yield from answer.evidence()
    shown = answer
    picture = answer.field("connection", "qrCode")
    if not picture:
        # The provider may need a moment for the first code; until then the connection is `connecting`.
        shown = walk.await_status(lambda status: bool(status.field("qrCode")), within_s=QR_WAIT_S, what="a QR code in the status")
        picture = shown.field("qrCode")
    yield Evidence(label="QR code", value=_size_of(picture, shown), unit="bytes of PNG")


def _size_of(picture: object, answer: Answer) -> int:
    if not isinstance(picture, str) or not picture.startswith(PREFIX):
        raise Failure(f"the QR code is not a PNG data URL, {answer.request}")
    try:
        data = base64.b64decode(picture.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise Failure(f"the QR code is not base64, {answer.request}") from None
    if not data.startswith(PNG):
        raise Failure(f"the QR code is not a PNG, {answer.request}")
    return len(data)
