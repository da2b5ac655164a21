"""A message is a duplicate when any unit has one of its id.

Area: inbound.
Killed by: scenario.same-id-in-two-units.
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
    owners: dict[str, UUID] = {}

    async def store(work: UnitOfWork, unit_id: UUID, found: InboundMessage) -> Message | None:
        if owners.setdefault(found.external_id, unit_id) != unit_id:
            reach()
            return None
        message: Message | None = await original(work, unit_id, found)
        return message

    original = override(backend.services.inbound, "_store_message", store)
