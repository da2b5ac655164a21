"""The caller of connect chooses where the provider is.

Area: security.
Killed by: scenario.providers-address-is-not-the-callers.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpx

from reference_impl.translation import Translation, in_json
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
    backend.wrap(lambda app: Translation(app, inward=in_json(_take_the_address)))


def _take_the_address(order: dict[str, Any]) -> None:
    credentials = order.get("credentials")
    if isinstance(credentials, dict):
        _chosen.set(str(next((credentials[name] for name in _NAMES if name in credentials), "")))
