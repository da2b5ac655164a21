"""The application's own upsert as a plain store of names by phone, for whoever wants to see that it updates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from reference_impl.adapters.clock import SystemClock
from reference_impl.adapters.database import Database
from reference_impl.adapters.repositories import SqlUnitOfWork

__all__ = ["ContactStore", "open_store"]

T = TypeVar("T")

_SLUG = "store"


class ContactStore:
    """Contacts of one unit, written as the application writes them. Belongs to the thread that opened it; close it."""

    table, key_column, value_column = "contacts", "phone", "name"

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._database = Database(url, clock=SystemClock(), pool_size=1, any_role=True)
        self._unit = self._runner.run(self._open())

    @property
    def backend(self) -> str:
        return "sqlite" if self._database.is_embedded else "postgresql"

    def upsert(self, key: str, value: str) -> None:
        now = datetime.now(UTC)

        async def write(work: SqlUnitOfWork) -> None:
            contact = await work.contacts.get_or_add(unit_id=self._unit, phone=key, lid=None, name=value, now=now)
            if contact.name != value:
                await work.contacts.rename(contact.id, value, now)

        self._run(write)

    def read(self, key: str) -> list[str]:
        async def look(work: SqlUnitOfWork) -> list[str]:
            page = await work.contacts.page(self._unit, limit=1_000, after=None)
            return [contact.name or "" for contact in page if contact.phone == key]

        return self._run(look)

    def close(self) -> None:
        self._runner.run(self._database.close())
        self._runner.close()

    async def _open(self) -> UUID:
        await self._database.open()
        async with self._database.unit_of_work(None) as work:
            unit = await work.units.add(name="Store", slug=_SLUG, now=datetime.now(UTC)) or await work.units.by_slug(_SLUG)
        if unit is None:
            raise LookupError("the store's unit could not be made")
        return unit.id

    def _run(self, work: Callable[[SqlUnitOfWork], Awaitable[T]]) -> T:
        async def within() -> T:
            async with self._database.unit_of_work(self._unit) as unit_of_work:
                return await work(unit_of_work)

        return self._runner.run(within())


def open_store(url: str) -> ContactStore:
    """A store on a migrated Postgres, or on SQLite, whose tables it makes."""
    return ContactStore(url)
