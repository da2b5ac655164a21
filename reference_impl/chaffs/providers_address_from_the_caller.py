"""The caller of connect chooses where the provider is.

Area: security.
Killed by: scenario.providers-address-is-not-the-callers.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpx

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

_NAMES = ("apiUrl", "baseUrl", "serverUrl", "url")
_chosen: ContextVar[str] = ContextVar("chosen", default="")


def apply(backend: Backend, reach: Reach) -> None:
    async def create_instance(name: str, *, webhook_url: str) -> bool:
        if _chosen.get():
            reach()
            key = {"apikey": backend.settings.evolution_api_key}
            async with httpx.AsyncClient(base_url=_chosen.get(), timeout=2.0, trust_env=False) as client:
                await client.post("/instance/create", json={"instanceName": name, "webhook": {"url": webhook_url}}, headers=key)
        created: bool = await original(name, webhook_url=webhook_url)
        return created

    original = override(backend.provider, "create_instance", create_instance)
    backend.wrap(_ReadsTheAddress)


class _ReadsTheAddress:
    """Keeps the address that the body of a request names for as long as the request is served."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].endswith("/whatsapp/connect"):
            await self._app(scope, receive, send)
            return
        message = await receive()
        _chosen.set("")
        try:
            credentials = json.loads(message.get("body", b""))["credentials"]
            _chosen.set(str(next((credentials[name] for name in _NAMES if name in credentials), "")))
        except (ValueError, KeyError, TypeError):
            _chosen.set("")
        waiting = [message]

        async def again() -> Any:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, again, send)
