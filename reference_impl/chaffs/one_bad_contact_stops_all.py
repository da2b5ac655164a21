"""A recipient who cannot be reached ends the campaign for those after him.

Area: campaign.
Killed by: scenario.one-bad-recipient-stops-nobody.
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
    async def attempt(message: Message) -> tuple[Message, CallOutcome]:
        stored, outcome = await original(message)
        if stored.status == "failed" and (message.client_message_id or "").startswith("campaign:"):
            reach()
            async with backend.store.unit_of_work(message.unit_id) as work:
                for campaign in await work.campaigns.processing(message.unit_id):
                    await work.campaigns.save(replace(campaign, status="failed", error=outcome.detail))
        return stored, outcome

    original = override(backend.services.outbound, "attempt", attempt)
