"""The backend runs in two processes on one database.

Area: wheat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.variants import Reach

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["POSTGRES", "PROCESSES", "apply"]

PROCESSES = 2
POSTGRES = True


def apply(backend: Backend, reach: Reach) -> None:
    def around(app: Any) -> Any:
        async def serve(scope: Any, receive: Any, send: Any) -> None:
            reach()
            await app(scope, receive, send)

        return serve

    backend.wrap(around)
