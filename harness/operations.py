"""What the operator of a backend can do to it and no client can: let its database fail, rotate webhook secrets.

The scenarios ask for it over HTTP, with the control token of the fake: `POST …/database {"state": …}` and
`POST …/webhook-secrets {}`. Whoever runs another backend can answer the same; a backend without it is not looked at in this.
"""

from __future__ import annotations

import contextlib
import hmac
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Literal, Protocol, get_args

__all__ = ["OPERATIONS", "TOKEN_HEADER", "DatabaseState", "Front", "Operated"]

OPERATIONS: Final = "/__operations__"
TOKEN_HEADER: Final = "x-operations-token"  # noqa: S105 - its name
DatabaseState = Literal["up", "down", "loses-commits"]


class Operated(Protocol):
    """A backend and what its operator can do to it."""

    @property
    def app(self) -> Any: ...

    def lifespan(self) -> AbstractAsyncContextManager[None]: ...

    def set_database(self, state: DatabaseState) -> None: ...

    async def rotate_secrets(self) -> None: ...


class Front:
    """Stands before one or several backends on one database: hands each request to the next, and lets the operator act."""

    def __init__(self, backends: Sequence[Operated], *, token: str) -> None:
        self._backends = backends
        self._token = token
        self._turn = 0

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Every backend open."""
        async with contextlib.AsyncExitStack() as stack:
            for backend in self._backends:
                await stack.enter_async_context(backend.lifespan())
            yield

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(f"{OPERATIONS}/"):
            status = await self._operate(scope, await _body(receive))
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        self._turn = (self._turn + 1) % len(self._backends)
        await self._backends[self._turn].app(scope, receive, send)

    async def _operate(self, scope: Any, body: Any) -> int:
        given = dict(scope["headers"]).get(TOKEN_HEADER.encode(), b"")
        if not hmac.compare_digest(given, self._token.encode()):
            return 401
        match scope["method"], scope["path"].removeprefix(OPERATIONS), body:
            case "POST", "/database", {"state": state} if state in get_args(DatabaseState):
                for backend in self._backends:
                    backend.set_database(state)
                return 200
            case "POST", "/webhook-secrets", _:
                await self._backends[0].rotate_secrets()
                return 200
        return 404


async def _body(receive: Any) -> Any:
    received = b""
    while True:
        message = await receive()
        received += message.get("body", b"")
        if not message.get("more_body"):
            break
    try:
        return json.loads(received or b"{}")
    except ValueError:
        return None
