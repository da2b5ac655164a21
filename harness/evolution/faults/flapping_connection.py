"""The connection opens and drops again, in a loop.

Why: open, connecting, open: each drop is silent, and work started on open is cut off.
Evidence: section 7, F10 and F11: issues 2430, 550, 765.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Opened, Option


@fault()
def run(
    at: Opened,
    seconds: Annotated[float, Option(text="how long the connection stays open", unit="s", least=0.001)] = 1.0,
    code: Annotated[
        int,
        Option(
            text="what WhatsApp closes it with; 401, 402, 403 and 406 are final", unit="WhatsApp close code", least=400, most=599
        ),
    ] = 428,
) -> None:
    at.close, at.seconds, at.message = code, seconds, "Connection Terminated by Server"
