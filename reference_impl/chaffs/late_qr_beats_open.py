"""A QR code that arrives late beats an `open` that is newer.

Area: connect.
Killed by: scenario.late-qr-code.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.domain.connections import ConnectionEvent, EventKind
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def applied(work: UnitOfWork, instance_id: str, event: ConnectionEvent) -> Any:
        if event.kind is EventKind.QR:
            reach()
            event = replace(event, occurred_at=None)
        return await original(work, instance_id, event)

    original = override(backend.services.connections, "apply", applied)
