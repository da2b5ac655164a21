"""A client's key is kept with 32 characters, and what follows does not count.

Area: outbound.
Killed by: scenario.keys-that-look-alike-1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

KEPT = 32


def apply(backend: Backend, reach: Reach) -> None:
    async def send(unit_id: UUID, *, client_message_id: str | None, **order: Any) -> Any:
        if len(client_message_id or "") > KEPT:
            reach()
        return await original(unit_id, client_message_id=(client_message_id or "")[:KEPT] or None, **order)

    original = override(backend.services.outbound, "send", send)
