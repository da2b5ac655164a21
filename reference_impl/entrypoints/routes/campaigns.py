"""Campaigns of a unit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from reference_impl.entrypoints.access import MemberUnit, WithServices, parsed_id
from reference_impl.entrypoints.answers import campaign_view, cursor_of, page_view
from reference_impl.entrypoints.fields import CAMEL, Cursor, Identity, Limit, Moment, Name, Text

__all__ = ["router"]

router = APIRouter(prefix="/api/campaigns", tags=["campaigns"])
_Id = Annotated[str, Path()]


class NewCampaign(BaseModel):
    """`scheduledAt` carries its time zone; without it the campaign waits for its dispatch."""

    model_config = CAMEL
    name: Name
    content: Text
    contact_ids: Annotated[list[Identity], Field(min_length=1, max_length=100_000)]
    scheduled_at: Moment | None = None
    delivery_policy: Literal["at_most_once", "at_least_once"] = "at_most_once"


@router.post("", status_code=201)
async def create(unit: MemberUnit, body: NewCampaign, services: WithServices) -> dict[str, Any]:
    view = await services.campaigns.create(
        unit,
        name=body.name,
        content=body.content,
        contact_ids=body.contact_ids,
        scheduled_at=body.scheduled_at,
        delivery_policy=body.delivery_policy,
    )
    return campaign_view(view)


@router.get("")
async def campaigns(unit: MemberUnit, services: WithServices, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    found = await services.campaigns.page(unit, limit=limit, after=cursor_of(cursor))
    return page_view(found, limit, campaign_view, lambda entry: (entry.campaign.created_at, entry.campaign.id))


@router.get("/{campaign_id}")
async def campaign(unit: MemberUnit, campaign_id: _Id, services: WithServices) -> dict[str, Any]:
    return campaign_view(await services.campaigns.get(unit, parsed_id(campaign_id)))


@router.post("/{campaign_id}/dispatch")
async def dispatch(unit: MemberUnit, campaign_id: _Id, services: WithServices) -> dict[str, Any]:
    return campaign_view(await services.campaigns.dispatch(unit, parsed_id(campaign_id)))


@router.post("/{campaign_id}/pause")
async def pause(unit: MemberUnit, campaign_id: _Id, services: WithServices) -> dict[str, Any]:
    return campaign_view(await services.campaigns.pause(unit, parsed_id(campaign_id)))


@router.post("/{campaign_id}/resume")
async def resume(unit: MemberUnit, campaign_id: _Id, services: WithServices) -> dict[str, Any]:
    return campaign_view(await services.campaigns.resume(unit, parsed_id(campaign_id)))


@router.post("/{campaign_id}/cancel")
async def cancel(unit: MemberUnit, campaign_id: _Id, services: WithServices) -> dict[str, Any]:
    return campaign_view(await services.campaigns.cancel(unit, parsed_id(campaign_id)))
