"""An acknowledgement in the flat form (`keyId`) changes nothing.

Area: inbound.
Killed by: scenario.acknowledgement-in-both-forms-1.
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
    async def acknowledge(work: UnitOfWork, unit_id: UUID, envelope: Envelope, effects: Any) -> None:
        entries = envelope.data if isinstance(envelope.data, list) else [envelope.data]
        kept = [entry for entry in entries if not isinstance(entry, dict) or "key" in entry or "messages" in entry]
        if len(kept) < len(entries):
            reach()
        if kept:
            await original(work, unit_id, replace(envelope, data=kept[0] if len(kept) == 1 else kept), effects)

    original = override(backend.services.inbound, "_acknowledge", acknowledge)
