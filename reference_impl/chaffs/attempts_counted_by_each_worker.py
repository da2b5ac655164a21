"""Each worker counts the attempts that it made itself.

Area: outbound.
Killed by: scenario.three-attempts-over-workers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, in_every_transaction, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    made: Counter[UUID] = Counter()

    def change(work: UnitOfWork) -> None:
        async def due_queued(unit_id: UUID, now: datetime, limit: int) -> list[Message]:
            due: list[Message] = await original(unit_id, now, limit)
            # Whoever takes a request's message over has made no attempt yet.
            if any(message.attempts != made[message.id] for message in due):
                reach()
            counted = [replace(message, attempts=made[message.id]) for message in due]
            made.update(message.id for message in due)
            return counted

        original = override(work.messages, "due_queued", due_queued)

    in_every_transaction(backend, change)
