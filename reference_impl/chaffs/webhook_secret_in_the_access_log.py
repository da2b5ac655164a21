"""The access log shows the path of each delivery, secret included.

Area: security.
Killed by: scenario.log-tells-no-phone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def handle(provider: str, secret: str, body: bytes) -> Any:
        reach()
        if backend.settings.log_file is not None:
            with backend.settings.log_file.open("a", encoding="utf-8") as log:
                log.write(json.dumps({"level": "info", "message": f"POST /webhooks/whatsapp/{provider}/{secret}"}) + "\n")
        return await original(provider, secret, body)

    original = override(backend.services.inbound, "handle", handle)
