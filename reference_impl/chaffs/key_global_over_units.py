"""A key that one unit has used is taken for every unit.

Area: outbound.
Killed by: scenario.same-key-in-two-units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.use_cases.outbound import SendResult

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    owners: dict[str, UUID] = {}

    async def send(unit_id: UUID, *, phone: str, client_message_id: str | None, **order: Any) -> SendResult:
        owner = owners.setdefault(client_message_id, unit_id) if client_message_id is not None else unit_id
        if owner != unit_id:
            reach()
        result: SendResult = await original(owner, phone=phone, client_message_id=client_message_id, **order)
        return result

    original = override(backend.services.outbound, "send", send)
