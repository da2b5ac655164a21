"""A customer who writes the same words again is taken for a repetition.

Area: inbound.
Killed by: scenario.same-words-twice.
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
    seen: set[tuple[UUID, str | None, str]] = set()

    async def store(work: UnitOfWork, unit_id: UUID, found: InboundMessage) -> Any:
        mark = unit_id, found.phone, found.text
        if mark in seen:
            reach()
            return None
        seen.add(mark)
        return await original(work, unit_id, found)

    original = override(backend.services.inbound, "_store_message", store)
