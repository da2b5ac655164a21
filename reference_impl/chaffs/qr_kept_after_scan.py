"""The QR code is still shown after the scan.

Area: connect.
Killed by: scenario.scan-connects, flow.scan-updates-status.
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
    shown: dict[UUID, str] = {}

    async def status(unit_id: UUID) -> Connection | None:
        connection: Connection | None = await original(unit_id)
        if connection is None:
            return None
        if connection.qr_code is not None:
            shown[unit_id] = connection.qr_code
        if connection.qr_code is None and unit_id in shown:
            reach()
        return replace(connection, qr_code=shown.get(unit_id))

    original = override(backend.services.connections, "status", status)
