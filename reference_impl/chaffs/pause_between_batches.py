"""A campaign pauses between batches of two and not between the sends of a batch.

Area: campaign.
Killed by: scenario.campaign-one-after-the-other, flow.campaign-paced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

BATCH = 2


def apply(backend: Backend, reach: Reach) -> None:
    async def step(unit_id: UUID) -> float | None:
        for _ in range(BATCH - 1):
            if await original(unit_id) is None:
                return None
            reach()
            async with backend.store.unit_of_work(unit_id) as work:
                await work.connections.set_next_send(unit_id, None)
        wait: float | None = await original(unit_id)
        return wait

    original = override(backend.services.campaigns, "_step", step)
