"""The TLS handshake fails: whoever connects by https gets a fatal alert, whoever speaks plain HTTP is cut off.

Why: an expired certificate or a proxy that was set up anew fails every new connection at once, while those that are open go on.
The fake has no certificate, so a client that would refuse one cannot be tried: here it is the server that gives up.
Evidence: section 7, F24: proxies and wrong base URLs; alerts as in RFC 8446, section 6.2.
"""

from __future__ import annotations

from typing import Annotated, Literal

from gate.registry import fault
from harness.evolution.injection import Option, Talking

_ALERTS = {
    "handshake-failure": 40,
    "certificate-expired": 45,
    "protocol-version": 70,
    "internal-error": 80,
    "unrecognized-name": 112,
}


@fault()
def run(
    at: Talking,
    alert: Annotated[
        Literal["handshake-failure", "certificate-expired", "protocol-version", "internal-error", "unrecognized-name"],
        Option(text="the alert that a TLS client gets"),
    ] = "handshake-failure",
) -> None:
    # One record: alert, TLS 1.2, two bytes: fatal, and which.
    at.reply = bytes([21, 3, 3, 0, 2, 2, _ALERTS[alert]]) if at.tls else b""
