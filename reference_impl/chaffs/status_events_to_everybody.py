"""What happens to one unit's connection is told to all.

Area: security.
Killed by: scenario.events-of-the-unit-alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def publish(unit_id: UUID, kind: str, payload: dict[str, object]) -> None:
        for unit in await backend.services.units.all_units() if kind == "status" else ():
            if unit.id != unit_id:
                reach()
                await original(unit.id, kind, payload)
        await original(unit_id, kind, payload)

    original = override(backend.services.events, "publish", publish)
