"""Every page but the first leaves out the entry that it should begin with.

Area: inbound.
Killed by: scenario.everything-in-pages.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Conversation

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def conversations(unit_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None) -> list[Conversation]:
        found: list[Conversation] = await original(unit_id, limit=limit + (after is not None), after=after)
        if after is None:
            return found
        reach()
        return found[1:]

    original = override(backend.services.contacts, "conversations", conversations)
