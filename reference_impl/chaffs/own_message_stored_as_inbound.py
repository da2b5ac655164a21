"""What the unit's own telephone wrote is stored as if the customer had.

Area: inbound.
Killed by: scenario.not-a-customers-message-1.
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
        if b"messages.upsert" in body and b'"fromMe": true' in body.replace(b'"fromMe":true', b'"fromMe": true'):
            reach()
            body = json.dumps(json.loads(body), ensure_ascii=False).replace('"fromMe": true', '"fromMe": false').encode()
        return await original(provider, secret, body)

    original = override(backend.services.inbound, "handle", handle)
