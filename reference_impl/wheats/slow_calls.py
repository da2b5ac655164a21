"""Every call takes 200 ms longer.

Area: wheat.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from reference_impl.variants import Reach

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["IDLE", "apply"]

IDLE = True
DELAY_S = 0.2


def apply(backend: Backend, reach: Reach) -> None:
    def around(app: Any) -> Any:
        async def serve(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                reach()
                # Of real time: a slow backend does not slow its provider's clock down.
                await asyncio.sleep(DELAY_S)
            await app(scope, receive, send)

        return serve

    backend.wrap(around)
