"""Whoever repeats what still runs is not told when to come back.

Area: outbound.
Killed by: scenario.same-key-at-once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.domain.errors import ConflictError
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def send(unit_id: UUID, **order: Any) -> Any:
        try:
            return await original(unit_id, **order)
        except ConflictError as error:
            reach()
            raise ConflictError(error.sentence, details=error.details) from error

    original = override(backend.services.outbound, "send", send)
