"""An acknowledgement moves the message with its id, whichever unit that belongs to.

Area: security.
Killed by: scenario.acknowledgement-of-another-unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.messages import MessageStatus
    from reference_impl.domain.records import Message
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    owners: dict[str, UUID] = {}

    async def prove_sent(work: UnitOfWork, message: Message, *, external_id: str, **proof: Any) -> Any:
        owners[external_id] = message.unit_id
        return await prove(work, message, external_id=external_id, **proof)

    async def acknowledge(work: UnitOfWork, unit_id: UUID, external_id: str, status: MessageStatus) -> Any:
        owner = owners.get(external_id, unit_id)
        if owner != unit_id:
            reach()
        return await original(work, owner, external_id, status)

    prove = override(backend.services.outbound, "prove_sent", prove_sent)
    original = override(backend.services.outbound, "acknowledge", acknowledge)
