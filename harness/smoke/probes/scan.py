"""A telephone scans the QR code.

Why: this is the one step that a machine cannot do against the real WhatsApp; a fake scans by itself.
Fix: run again with `--pause` and scan with WhatsApp, Linked devices; a code lives for less than a minute and is drawn anew.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

from gate.errors import Failure, Inconclusive
from gate.model import Evidence
from gate.registry import probe
from harness.errors import HarnessError, NotInTimeError
from harness.smoke.session import Answer
from harness.smoke.walk import SCAN_WAIT_S, VISIBLE_S, Walk


@probe(order=60)
def run(walk: Walk) -> Iterator[Evidence]:
    if walk.connected_since:
        yield Evidence(label="already connected since", value=walk.connected_since)
        return
    if walk.control is not None:
        phone = walk.control.scan(walk.instance)
        yield Evidence(label="scanned by the fake with", value=f"****{phone[-4:]}")
        wait_s = VISIBLE_S
    elif walk.pause:
        yield Evidence(label="scanned by", value="a person")
        wait_s = SCAN_WAIT_S
    else:
        raise Inconclusive("nobody scanned: a person must; run with --pause and a telephone at hand")
    drawn = ""

    def connected(status: Answer) -> bool:
        nonlocal drawn
        picture = status.field("qrCode")
        if walk.control is None and isinstance(picture, str) and picture != drawn:
            drawn = picture
            walk.show(draw(picture))
        return bool(status.field("status") == "connected")

    try:
        answer = walk.await_status(connected, within_s=wait_s, what="status connected")
    except NotInTimeError:
        answer = walk.status()
        told = f"status is {answer.field('status')!r}, {answer.field('reason')!r} {wait_s:g} s after the scan was possible"
        raise Failure(f"{told}, not 'connected'; {answer.request}") from None
    yield from answer.evidence()


def draw(picture: str) -> str:
    """The QR code of a PNG data URL as lines for a terminal. Raises HarnessError when it cannot be read."""
    try:
        import segno
        import zxingcpp
        from PIL import Image
    except ImportError as error:
        raise HarnessError(f"drawing a QR code needs {error.name}: install golive[fake,scenarios]") from error
    image = Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2])))
    codes = zxingcpp.read_barcodes(image)
    if not codes:
        raise HarnessError("the backend's QR code cannot be decoded")
    lines = io.StringIO()
    segno.make_qr(codes[0].text).terminal(out=lines, compact=True)
    return lines.getvalue()
