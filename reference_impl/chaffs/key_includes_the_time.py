"""The key that tells repetitions includes the message's time.

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


def apply(backend: Backend, reach: Reach) -> None:
    async def store(work: UnitOfWork, unit_id: UUID, found: InboundMessage) -> Message | None:
        if found.provider_timestamp is not None:
            reach()
            found = replace(found, external_id=f"{found.external_id}-{found.provider_timestamp.timestamp():.0f}")
        message: Message | None = await original(work, unit_id, found)
        return message

    original = override(backend.services.inbound, "_store_message", store)
