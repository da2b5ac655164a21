"""A second connect creates a second instance at the provider.

Area: connect.
Killed by: scenario.connect-generates-qr, flow.instance-name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.domain.connections import instance_name
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Connection

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    connected: set[UUID] = set()

    async def connect(unit_id: UUID, provider: str) -> Connection:
        connection: Connection = await original(unit_id, provider)
        if unit_id in connected:
            reach()
            await backend.provider.create_instance(f"{instance_name(unit_id)}_2", webhook_url="http://127.0.0.1:9/")
        connected.add(unit_id)
        return connection

    original = override(backend.services.connections, "connect", connect)
