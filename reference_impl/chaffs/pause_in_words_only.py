"""A campaign that is paused is shown so and goes on.

Area: campaign.
Killed by: scenario.paused-and-resumed.
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

    async def pause(unit_id: UUID, campaign_id: UUID) -> CampaignView:
        reach()
        view = await campaigns.get(unit_id, campaign_id)
        return replace(view, campaign=replace(view.campaign, status="paused"))

    override(campaigns, "pause", pause)
