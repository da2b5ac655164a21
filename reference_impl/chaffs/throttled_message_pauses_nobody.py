"""A 429 to one message does not concern the campaigns of the number.

Area: campaign.
Killed by: scenario.throttled-message-pauses-campaigns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def ease_off(*_: object) -> None:
        reach()

    override(backend.services.outbound, "_ease_off", ease_off)
