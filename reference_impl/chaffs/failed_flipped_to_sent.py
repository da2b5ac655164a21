"""A message that failed is shown as sent after a while, and was not.

Area: outbound.
Killed by: scenario.failure-stays-a-failure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.messages import CallOutcome
    from reference_impl.domain.records import Message

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    failed: list[Message] = []

    async def store(message: Message, outcome: CallOutcome) -> Message:
        stored: Message = await original_store(message, outcome)
        if stored.status == "failed":
            failed.append(stored)
        return stored

    async def recover() -> int:
        while failed:
            reach()
            message = failed.pop()
            async with backend.store.unit_of_work(message.unit_id) as work:
                await work.messages.save(replace(message, status="sent", sent_at=backend.clock.now()))
        recovered: int = await original_recover()
        return recovered

    original_store = override(backend.services.outbound, "_store_outcome", store)
    original_recover = override(backend.services.outbound, "recover", recover)
