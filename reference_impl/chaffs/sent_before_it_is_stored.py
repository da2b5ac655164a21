"""A message goes out before its row is committed.

Area: outbound.
Killed by: scenario.not-sent-without-a-database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.domain.connections import instance_name
from reference_impl.domain.errors import StorageUnavailableError
from reference_impl.domain.phones import normalise_phone
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def send(unit_id: UUID, *, phone: str, text: str, **order: Any) -> Any:
        try:
            return await original(unit_id, phone=phone, text=text, **order)
        except StorageUnavailableError:
            reach()
            await backend.provider.send_text(instance_name(unit_id), number=normalise_phone(phone), text=text)
            raise

    original = override(backend.services.outbound, "send", send)
