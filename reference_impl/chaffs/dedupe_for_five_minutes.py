"""Ids of messages are remembered for five minutes, and a later repetition is a new message.

Area: inbound.
Killed by: scenario.inbound-stored-once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message
    from reference_impl.domain.webhooks import InboundMessage
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]

MEMORY_S = 300.0


def apply(backend: Backend, reach: Reach) -> None:
    seen: dict[tuple[UUID, str], float] = {}

    async def store(work: UnitOfWork, unit_id: UUID, found: InboundMessage) -> Message | None:
        now = backend.clock.monotonic()
        first = seen.setdefault((unit_id, found.external_id), now)
        if now - first > MEMORY_S:
            reach()
            seen[unit_id, found.external_id] = now
            found = replace(found, external_id=f"{found.external_id}-{now:.0f}")
        message: Message | None = await original(work, unit_id, found)
        return message

    original = override(backend.services.inbound, "_store_message", store)
