"""A picture without a caption is taken for nothing.

Area: inbound.
Killed by: scenario.picture-without-words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.webhooks import InboundMessage
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def store(work: UnitOfWork, unit_id: UUID, found: InboundMessage) -> Any:
        if found.message_type != "text" and not found.caption:
            reach()
            return None
        return await original(work, unit_id, found)

    original = override(backend.services.inbound, "_store_message", store)
