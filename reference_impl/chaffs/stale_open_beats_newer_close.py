"""An `open` that arrives late beats a `close` that is newer.

Area: connect.
Killed by: scenario.older-event-never-wins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.domain.connections import ConnectionEvent, EventKind
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Connection
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def applied(work: UnitOfWork, instance_id: str, event: ConnectionEvent) -> Connection | None:
        if event.kind is EventKind.OPEN:
            reach()
            event = replace(event, occurred_at=None)
        connection: Connection | None = await original(work, instance_id, event)
        return connection

    original = override(backend.services.connections, "apply", applied)
