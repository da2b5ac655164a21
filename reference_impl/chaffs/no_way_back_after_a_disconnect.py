"""Connecting again after a disconnect returns the connection that is over.

Area: connect.
Killed by: scenario.disconnect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Connection

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    connections = backend.services.connections

    async def connect(unit_id: UUID, provider: str) -> Connection:
        current = await connections.status(unit_id)
        if current is not None and current.status == "disconnected":
            reach()
            return current
        connection: Connection = await original(unit_id, provider)
        return connection

    original = override(connections, "connect", connect)
