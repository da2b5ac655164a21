"""An answer says that it is JSON and is not.

Why: a proxy or a crash replaced the body and kept the head; the status may even be a success. What was asked for has been done.
Evidence: section 7, F24: HTML where JSON was expected; section 4.5: empty bodies with status 200 and 201.
"""

from __future__ import annotations

from typing import Annotated, Literal

from gate.registry import fault
from harness.evolution.injection import Answering, Option

_BODIES = {
    "html": b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>",
    "text": b"upstream connect error or disconnect/reset before headers",
    "empty": b"",
    "broken": b'{"key":{"remoteJid":"55',
    "not-utf8": b'{"pushName":"Jos\xe9"}',
}


@fault()
def run(
    at: Answering,
    body: Annotated[Literal["html", "text", "empty", "broken", "not-utf8"], Option(text="what comes instead")] = "html",
) -> None:
    at.body = _BODIES[body]
