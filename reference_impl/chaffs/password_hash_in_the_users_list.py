"""The list of users shows the hashes of their passwords.

Area: security.
Killed by: scenario.users-show-no-password-1.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reference_impl.variants import Reach

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def around(app: Any) -> Any:
        async def serve(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["path"] != "/admin/users" or scope["method"] != "GET":
                await app(scope, receive, send)
                return
            started: dict[str, Any] = {}

            async def with_hashes(message: Any) -> None:
                if message["type"] == "http.response.start":
                    started.update(message)
                    return
                body = message.get("body", b"")
                if started["status"] == 200:
                    reach()
                    hashes = {user.email: user.password_hash for user in await backend.services.units.all_users()}
                    users = [{**user, "passwordHash": hashes.get(user["email"])} for user in json.loads(body)]
                    body = json.dumps(users).encode()
                headers = [(name, value) for name, value in started["headers"] if name != b"content-length"]
                await send({**started, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
                await send({**message, "body": body})

            await app(scope, receive, with_hashes)

        return serve

    backend.wrap(around)
