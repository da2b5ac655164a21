"""Of several messages in one delivery only the first is taken.

Area: inbound.
Killed by: scenario.every-entry-of-a-batch-counts-1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.webhooks import Envelope
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def receive(work: UnitOfWork, unit_id: UUID, envelope: Envelope, effects: Any) -> None:
        data = envelope.data.get("messages", envelope.data) if isinstance(envelope.data, dict) else envelope.data
        if isinstance(data, list) and len(data) > 1:
            reach()
            envelope = replace(envelope, data=data[:1])
        await original(work, unit_id, envelope, effects)

    original = override(backend.services.inbound, "_receive", receive)
