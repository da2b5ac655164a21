"""Each campaign keeps its own pace, so that two of one number send at twice the rate.

Area: campaign.
Killed by: scenario.pace-holds-over-campaigns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def step(unit_id: UUID) -> float | None:
        async with backend.store.unit_of_work(unit_id) as work:
            running = len(await work.campaigns.processing(unit_id))
            if running > 1:
                reach()
                await work.connections.set_next_send(unit_id, None)
        wait: float | None = await original(unit_id)
        return wait / running if wait is not None and running > 1 else wait

    original = override(backend.services.campaigns, "_step", step)
