"""A request that is refused uses its key up.

Area: outbound.
Killed by: scenario.refused-request-keeps-its-key-free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.domain.errors import ConflictError, InvalidInputError, NotConnectedError
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.use_cases.outbound import SendResult

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    burnt: set[tuple[UUID, str | None]] = set()

    async def send(unit_id: UUID, *, phone: str, client_message_id: str | None, **order: Any) -> SendResult:
        key = unit_id, client_message_id
        if client_message_id is not None and key in burnt:
            reach()
            raise ConflictError("The first request with this clientMessageId is still running", retry_after_s=1.0)
        try:
            result: SendResult = await original(unit_id, phone=phone, client_message_id=client_message_id, **order)
        except (NotConnectedError, InvalidInputError):
            burnt.add(key)
            raise
        return result

    original = override(backend.services.outbound, "send", send)
