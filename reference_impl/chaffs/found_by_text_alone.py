"""A doubtful message is taken for sent when any message of its text is found, also an earlier one.

Area: outbound.
Killed by: scenario.one-send-proves-one-message.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    reconciliation: Any = backend.services.inbound._reconciliation

    async def settle(message: Message) -> None:
        if not await reconciliation._look_up(message):
            await original(message)
            return
        reach()
        async with backend.store.unit_of_work(message.unit_id) as work:
            current = await work.messages.get(message.unit_id, message.id, lock=True)
            if current is not None:
                await work.messages.save(replace(current, status="sent", next_attempt_at=None))

    original = override(reconciliation, "_settle", settle)
