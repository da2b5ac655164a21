"""A ban ends what runs instead of pausing it.

Area: campaign.
Killed by: scenario.banned-campaign-2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, in_every_transaction, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def change(work: UnitOfWork) -> None:
        async def pause_all(unit_id: UUID, *, reason: str, **more: Any) -> Any:
            if reason != "banned":
                return await original(unit_id, reason=reason, **more)
            for campaign in await work.campaigns.processing(unit_id):
                reach()
                await work.campaigns.save(replace(campaign, status="failed"))
            return 0

        original = override(work.campaigns, "pause_all", pause_all)

    in_every_transaction(backend, change)
