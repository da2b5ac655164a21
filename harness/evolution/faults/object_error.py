"""Connect and restart answer 200 with an error in its body: `{"error":true,"message":"[object Object]"}`.

Why: a client that looks at the status alone takes it for a QR code.
Evidence: section 7, F18: issues 1695, 2210.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.errors import ApiError
from harness.evolution.injection import Arrival


@fault()
def run(at: Arrival) -> bool:
    if at.route not in {"instance/connect", "instance/restart"}:
        return False
    raise ApiError(200, {"error": True, "message": "[object Object]"})
