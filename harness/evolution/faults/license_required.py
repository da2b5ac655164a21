"""The server is not activated: every route but those of the licence, the manager and the probes answers 503 LICENSE_REQUIRED.

Why: release 2.4 does so until it is registered; the error has none of the five usual shapes.
Evidence: section 7, F25 and section 9: issue 2534.
"""

from __future__ import annotations

import re

from gate.registry import fault
from harness.evolution.errors import ApiError
from harness.evolution.injection import Arrival

_BODY = {
    "error": "service not activated",
    "code": "LICENSE_REQUIRED",
    "register_url": "https://register.invalid/",
    "instance_id": "00000000-0000-4000-8000-000000000000",
    "docs_url": "https://docs.invalid/license",
    "message": "This server is not activated. Register it to use the API.",
}
_WITHOUT_LICENCE = re.compile(r"/(license|manager|health|server/ok|ws)(/|$)")


@fault()
def run(at: Arrival) -> bool:
    if _WITHOUT_LICENCE.match(at.path):
        return False
    raise ApiError(503, _BODY)
