"""Reading the status asks the provider and stores what it says.

Area: connect.
Killed by: scenario.status-read-writes-nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Connection

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def status(unit_id: UUID) -> Connection | None:
        connection: Connection | None = await original(unit_id)
        if connection is None or connection.instance_id is None or connection.status != "qr":
            return connection
        if await backend.provider.state(connection.instance_id) != "connecting":
            return connection
        reach()
        # The provider says `connecting` for as long as a QR code waits to be scanned.
        stored = replace(connection, status="connecting", status_reason="initializing", updated_at=backend.clock.now())
        async with backend.store.unit_of_work(unit_id) as work:
            await work.connections.save(stored, expected_epoch=connection.connection_epoch)
        return stored

    original = override(backend.services.connections, "status", status)
