"""An acknowledgement that arrives late moves a message back.

Area: outbound.
Killed by: scenario.status-never-moves-back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.messages import MessageStatus
    from reference_impl.domain.records import Message
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def acknowledge(work: UnitOfWork, unit_id: UUID, external_id: str, status: MessageStatus) -> Message | None:
        message = await work.messages.by_external_id(unit_id, external_id, lock=True)
        if message is None or message.status != "read":
            moved: Message | None = await original(work, unit_id, external_id, status)
            return moved
        reach()
        back = replace(message, status=status.value)
        await work.messages.save(back)
        return back

    original = override(backend.services.outbound, "acknowledge", acknowledge)
