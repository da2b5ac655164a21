"""A client's key is remembered for an hour, and a later repetition is sent again.

Area: outbound.
Killed by: scenario.key-is-kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

MEMORY_S = 3600.0


def apply(backend: Backend, reach: Reach) -> None:
    first: dict[tuple[UUID, str], float] = {}

    async def send(unit_id: UUID, *, client_message_id: str | None, **order: Any) -> Any:
        now, key = backend.clock.monotonic(), client_message_id or ""
        if now - first.setdefault((unit_id, key), now) > MEMORY_S:
            reach()
            client_message_id = f"{key}-{now:.0f}"
        return await original(unit_id, client_message_id=client_message_id, **order)

    original = override(backend.services.outbound, "send", send)
