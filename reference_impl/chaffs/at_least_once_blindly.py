"""Whoever must be reached is sent the text again without looking whether it went out.

Area: campaign.
Killed by: scenario.repeated-until-proven-2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    reconciliation: Any = backend.services.inbound._reconciliation

    async def look_up(message: Message) -> Any:
        if message.delivery_policy != "at_least_once":
            return await original(message)
        reach()
        return []

    async def by_echo(*_: Any) -> None:
        return None

    original = override(reconciliation, "_look_up", look_up)
    override(reconciliation, "by_echo", by_echo)
