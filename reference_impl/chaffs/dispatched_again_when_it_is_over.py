"""A campaign that is completed can be dispatched again, and is sent again.

Area: campaign.
Killed by: scenario.dispatched-twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.use_cases.campaigns import CampaignView

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    campaigns = backend.services.campaigns
    orders: dict[UUID, dict[str, Any]] = {}

    async def create(unit_id: UUID, **order: Any) -> CampaignView:
        view: CampaignView = await make(unit_id, **order)
        orders[view.campaign.id] = order
        return view

    async def dispatch(unit_id: UUID, campaign_id: UUID) -> CampaignView:
        if (await campaigns.get(unit_id, campaign_id)).campaign.status == "completed":
            reach()
            campaign_id = (await make(unit_id, **orders[campaign_id])).campaign.id
        view: CampaignView = await original(unit_id, campaign_id)
        return view

    make = override(campaigns, "create", create)
    original = override(campaigns, "dispatch", dispatch)
