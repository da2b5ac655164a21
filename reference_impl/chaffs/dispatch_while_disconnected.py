"""A campaign of a unit that is not connected can be dispatched, and answers success.

Area: campaign.
Killed by: scenario.dispatch-needs-a-connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.domain.errors import NotConnectedError
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.use_cases.campaigns import CampaignView

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    campaigns = backend.services.campaigns

    async def dispatch(unit_id: UUID, campaign_id: UUID) -> CampaignView:
        try:
            view: CampaignView = await original(unit_id, campaign_id)
        except NotConnectedError:
            reach()
            return await campaigns.get(unit_id, campaign_id)
        return view

    original = override(campaigns, "dispatch", dispatch)
