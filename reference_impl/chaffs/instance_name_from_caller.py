"""The caller of connect chooses the instance's name at the provider.

Area: connect.
Killed by: scenario.instance-name-is-derived, flow.instance-name.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

_chosen: ContextVar[str] = ContextVar("chosen", default="")


def apply(backend: Backend, reach: Reach) -> None:
    names: dict[str, str] = {}

    def renamed(method: str) -> None:
        async def call(name: str, **arguments: Any) -> Any:
            if method == "create_instance" and _chosen.get():
                reach()
                names[name] = _chosen.get()
            return await original(names.get(name, name), **arguments)

        original = override(backend.provider, method, call)

    for method in ("create_instance", "set_webhook", "request_qr", "logout", "state", "details", "send_text", "sent_messages"):
        renamed(method)
    backend.wrap(_ReadsTheName)


class _ReadsTheName:
    """Keeps the name that the body of a request chooses for as long as the request is served."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].endswith("/whatsapp/connect"):
            await self._app(scope, receive, send)
            return
        message = await receive()
        try:
            _chosen.set(str(json.loads(message.get("body", b""))["credentials"]["instanceName"]))
        except (ValueError, KeyError, TypeError):
            _chosen.set("")
        waiting = [message]

        async def again() -> Any:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, again, send)
