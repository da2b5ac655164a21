"""A second connect creates a second instance at the provider.

Killed by: scenario.connect-generates-qr, flow.instance-name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.chaffs import override
from reference_impl.domain.connections import instance_name

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Connection

__all__ = ["plant"]


def plant(backend: Backend) -> None:
    connected: set[UUID] = set()

    async def connect(unit_id: UUID, provider: str) -> Connection:
        connection: Connection = await original(unit_id, provider)
        if unit_id in connected:
            await backend.provider.create_instance(f"{instance_name(unit_id)}_2", webhook_url="http://127.0.0.1:9/")
        connected.add(unit_id)
        return connection

    original = override(backend.services.connections, "connect", connect)
