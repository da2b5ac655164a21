"""A proxy answers with an HTML page instead of the server.

Why: a wrong base URL or a server that is down behind its proxy; a client that parses JSON first crashes on it.
Evidence: section 7, F24: `<!DOCTYPE html>… Cannot POST`; issue 2242.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.errors import ApiError
from harness.evolution.injection import Arrival, Option


@fault()
def run(
    at: Arrival,
    status: Annotated[int, Option(text="what the proxy answers with", unit="HTTP status", least=200, most=599)] = 404,
) -> None:
    lines = (
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head><title>Error</title></head>",
        f"<body><pre>Cannot {at.method} {at.path}</pre></body>",
        "</html>",
    )
    raise ApiError(status, "\n".join(lines).encode(), {"Content-Type": "text/html; charset=utf-8"})
