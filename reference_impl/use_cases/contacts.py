"""Contacts and conversations of a unit, read and added by its people."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from reference_impl.domain.errors import InvalidInputError, NotFoundError
from reference_impl.domain.phones import PhoneError, normalise_phone, phone_variants
from reference_impl.domain.records import Contact, Conversation, Message
from reference_impl.ports import Clock, Store

__all__ = ["Contacts"]


class Contacts:
    """Everything here is newest first and of one unit."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def add(self, unit_id: UUID, *, phone: str, name: str | None) -> Contact:
        """The contact with this phone, made or renamed. Raises InvalidInputError."""
        try:
            number = normalise_phone(phone)
        except PhoneError as error:
            raise InvalidInputError(f"phone: {error}") from error
        now = self._clock.now()
        async with self._store.unit_of_work(unit_id) as work:
            contact = await work.contacts.get_or_add(
                unit_id=unit_id, phone=number, lid=None, name=name, now=now, variants=phone_variants(number)
            )
            if name is not None and contact.name != name:
                await work.contacts.rename(contact.id, name, now)
                contact = replace(contact, name=name)
        return contact

    async def page(self, unit_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None) -> list[Contact]:
        async with self._store.unit_of_work(unit_id) as work:
            return await work.contacts.page(unit_id, limit=limit, after=after)

    async def conversations(self, unit_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None) -> list[Conversation]:
        async with self._store.unit_of_work(unit_id) as work:
            return await work.conversations.page(unit_id, limit=limit, after=after)

    async def messages(
        self, unit_id: UUID, conversation_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None
    ) -> list[Message]:
        """Raises NotFoundError when the conversation is not the unit's."""
        async with self._store.unit_of_work(unit_id) as work:
            if await work.conversations.get(unit_id, conversation_id) is None:
                raise NotFoundError("Not found")
            return await work.messages.page(unit_id, conversation_id, limit=limit, after=after)
