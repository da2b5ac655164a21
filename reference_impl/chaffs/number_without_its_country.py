"""A number without its country goes out as it was written.

Area: outbound.
Killed by: scenario.number-as-people-write-it-2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

NATIONAL = 11


def apply(backend: Backend, reach: Reach) -> None:
    async def send(unit_id: UUID, *, phone: str, **order: Any) -> Any:
        digits = "".join(filter(str.isdigit, phone))
        if len(digits) == NATIONAL:
            reach()
            phone = f"+{digits}"
        return await original(unit_id, phone=phone, **order)

    original = override(backend.services.outbound, "send", send)
