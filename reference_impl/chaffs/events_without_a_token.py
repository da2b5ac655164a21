"""Whoever knows a unit's id can watch its events, without a token.

Area: security.
Killed by: scenario.events-need-a-token.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reference_impl.entrypoints.access import parsed_id
from reference_impl.variants import Reach

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def around(app: Any) -> Any:
        async def serve(scope: Any, receive: Any, send: Any) -> None:
            headers = dict(scope.get("headers", ()))
            path = scope.get("path", "")
            if scope["type"] != "http" or not path.endswith("/events") or b"authorization" in headers:
                await app(scope, receive, send)
                return
            reach()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
            await send({"type": "http.response.body", "body": b": connected\n\n", "more_body": True})
            with backend.services.events.subscribed(parsed_id(path.split("/")[2])) as queue:
                while not backend.services.closing.is_set():
                    event = await queue.get()
                    told = f"event: {event.kind}\ndata: {json.dumps(event.payload)}\n\n".encode()
                    await send({"type": "http.response.body", "body": told, "more_body": True})

        return serve

    backend.wrap(around)
