"""The caller of connect chooses the instance's name at the provider.

Area: connect.
Killed by: scenario.instance-name-is-derived, flow.instance-name.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from reference_impl.translation import Translation, in_json
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
    backend.wrap(lambda app: Translation(app, inward=in_json(_take_the_name)))


def _take_the_name(order: dict[str, Any]) -> None:
    credentials = order.get("credentials")
    if isinstance(credentials, dict):
        _chosen.set(str(credentials.get("instanceName", "")))
