"""Whether a message is known is asked first and its row inserted later, with no unique key between.

Area: inbound.
Killed by: scenario.inbound-stored-once.
"""

from __future__ import annotations

import asyncio
import secrets
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message
    from reference_impl.domain.webhooks import Envelope, InboundMessage
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    known: set[tuple[UUID, str]] = set()
    # Each delivery has the answer to its own question.
    asked: ContextVar[frozenset[tuple[UUID, str]]] = ContextVar("asked", default=frozenset())

    async def process(unit_id: UUID, secret: str, envelope: Envelope, body: bytes) -> Any:
        if envelope.event == "messages.upsert":
            # The answer to the question is on its way while others ask the same.
            asked.set(frozenset(known))
            await asyncio.sleep(0.05)
        return await original_process(unit_id, secret, envelope, body)

    async def store(work: UnitOfWork, unit_id: UUID, found: InboundMessage) -> Message | None:
        key = unit_id, found.external_id
        if key in known and key not in asked.get():
            reach()
            found = replace(found, external_id=f"{found.external_id}-{secrets.token_hex(4)}")
        known.add(key)
        message: Message | None = await original_store(work, unit_id, found)
        return message

    original_process = override(backend.services.inbound, "_process", process)
    original_store = override(backend.services.inbound, "_store_message", store)
