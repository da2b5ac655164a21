"""Each worker counts the attempts that it made itself.

Area: outbound.
Killed by: scenario.three-attempts-over-workers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    made: Counter[UUID] = Counter()

    async def send_queued(message: Message) -> None:
        # Whoever takes a request's message over has made no attempt yet.
        if message.attempts != made[message.id]:
            reach()
        async with backend.store.unit_of_work(message.unit_id) as work:
            await work.messages.save(replace(message, attempts=made[message.id]))
        made[message.id] += 1
        await original(message)

    original = override(backend.services.outbound, "_send_queued", send_queued)
