"""A campaign that was cancelled can be resumed.

Area: campaign.
Killed by: scenario.cancelled.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.use_cases.campaigns import CampaignView

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    campaigns = backend.services.campaigns

    async def resume(unit_id: UUID, campaign_id: UUID) -> CampaignView:
        campaign = (await campaigns.get(unit_id, campaign_id)).campaign
        if campaign.status == "cancelled":
            reach()
            async with backend.store.unit_of_work(unit_id) as work:
                await work.campaigns.save(replace(campaign, status="paused"))
        view: CampaignView = await original(unit_id, campaign_id)
        return view

    original = override(campaigns, "resume", resume)
