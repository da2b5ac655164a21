"""A message counts as seen before its row is committed: what fails in between is lost.

Area: inbound.
Killed by: scenario.lost-commit-is-redelivered-2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message
    from reference_impl.domain.webhooks import InboundMessage
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    seen: set[tuple[UUID, str]] = set()

    async def store(work: UnitOfWork, unit_id: UUID, found: InboundMessage) -> Message | None:
        if (unit_id, found.external_id) in seen:
            reach()
            return None
        seen.add((unit_id, found.external_id))
        message: Message | None = await original(work, unit_id, found)
        return message

    original = override(backend.services.inbound, "_store_message", store)
