"""Every message begins a conversation of its own.

Area: inbound.
Killed by: scenario.same-words-twice.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import sqlalchemy as sa

from reference_impl.adapters import schema
from reference_impl.variants import Reach, in_every_transaction, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Contact
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def change(work: UnitOfWork) -> None:
        async def open_of(contact: Contact, now: datetime) -> UUID:
            table, connection = schema.conversations, cast("Any", work.conversations)._connection
            of_contact = table.c.unit_id == contact.unit_id, table.c.contact_id == contact.id
            closed = await connection.execute(sa.update(table).where(*of_contact).values(status="closed"))
            if closed.rowcount:
                reach()
            opened: UUID = await original(contact, now)
            return opened

        original = override(work.conversations, "open_of", open_of)

    in_every_transaction(backend, change)
