"""Whoever must be reached is not sent to again when nothing went out.

Area: campaign.
Killed by: scenario.repeated-until-proven-1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    reconciliation: Any = backend.services.inbound._reconciliation

    async def not_found(work: UnitOfWork, message: Message, *, may_repeat: bool) -> Any:
        if may_repeat and message.delivery_policy == "at_least_once":
            reach()
        return await original(work, message, may_repeat=False)

    original = override(reconciliation, "_not_found", not_found)
