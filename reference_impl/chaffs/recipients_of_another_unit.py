"""The contacts of another unit are accepted as recipients.

Area: campaign.
Killed by: scenario.foreign-contacts-are-refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, in_every_transaction, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Contact
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def change(work: UnitOfWork) -> None:
        async def existing(unit_id: UUID, ids: Sequence[UUID]) -> list[Contact]:
            found: list[Contact] = await original(unit_id, ids)
            missing = [contact_id for contact_id in ids if contact_id not in {contact.id for contact in found}]
            for contact_id in missing:
                contact = known.get(contact_id)
                if contact is not None:
                    reach()
                    found.append(replace(contact, unit_id=unit_id))
            return found

        original: Any = override(work.contacts, "existing", existing)

    async def add(unit_id: UUID, *, phone: str, name: str | None) -> Contact:
        contact: Contact = await original_add(unit_id, phone=phone, name=name)
        known[contact.id] = contact
        return contact

    known: dict[UUID, Contact] = {}
    original_add = override(backend.services.contacts, "add", add)
    in_every_transaction(backend, change)
