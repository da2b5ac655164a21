"""After a send that failed the next goes out at once.

Area: campaign.
Killed by: scenario.pause-after-a-failed-send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.messages import CallOutcome
    from reference_impl.domain.records import Message

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    failed: set[UUID] = set()

    async def attempt(message: Message) -> tuple[Message, CallOutcome]:
        stored, outcome = await original_attempt(message)
        if stored.status == "failed":
            failed.add(message.unit_id)
        return stored, outcome

    async def step(unit_id: UUID) -> float | None:
        wait: float | None = await original_step(unit_id)
        if unit_id not in failed:
            return wait
        reach()
        failed.discard(unit_id)
        async with backend.store.unit_of_work(unit_id) as work:
            await work.connections.set_next_send(unit_id, None)
        return 0.0

    original_attempt = override(backend.services.outbound, "attempt", attempt)
    original_step = override(backend.services.campaigns, "_step", step)
