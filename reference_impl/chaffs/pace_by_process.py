"""Each process keeps the pace of a number in its own memory.

Area: campaign.
Killed by: scenario.pace-holds-over-campaigns.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, in_every_transaction, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.ports import UnitOfWork

__all__ = ["POSTGRES", "PROCESSES", "apply"]

# Two numbers' worth of work in one process would hide it: the second process is what breaks the pace.
PROCESSES = 2
POSTGRES = True


def apply(backend: Backend, reach: Reach) -> None:
    next_send: dict[UUID, datetime | None] = {}

    def change(work: UnitOfWork) -> None:
        async def take_slot(unit_id: UUID, *, now: datetime, hold_until: datetime) -> bool:
            due = next_send.get(unit_id)
            if due is not None and due > now:
                return False
            connection = await work.connections.of_unit(unit_id)
            if connection is None or connection.status != "connected":
                return False
            reach()
            next_send[unit_id] = hold_until
            return True

        async def set_next_send(unit_id: UUID, moment: datetime | None) -> None:
            next_send[unit_id] = moment

        override(work.connections, "take_slot", take_slot)
        override(work.connections, "set_next_send", set_next_send)

    in_every_transaction(backend, change)
