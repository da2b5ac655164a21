"""Units and their people, as a super_admin manages them."""

from __future__ import annotations

import logging
import re
import unicodedata
from typing import Final
from uuid import UUID

from reference_impl.domain.errors import ConflictError, InvalidInputError
from reference_impl.domain.records import Unit, User
from reference_impl.ports import Clock, Passwords, Store

__all__ = ["Units"]

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_PASSWORD_SHORTEST: Final = 8
_log = logging.getLogger(__name__)


class Units:
    """Makes and lists units and users."""

    def __init__(self, *, store: Store, clock: Clock, passwords: Passwords) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords

    async def bootstrap(self, *, email: str, password: str) -> None:
        """Makes the first super_admin when there is no user at all."""
        async with self._store.unit_of_work(None) as work:
            if await work.users.any_exists():
                return
        password_hash = await self._passwords.hash(password)
        async with self._store.unit_of_work(None) as work:
            made = await work.users.add(
                unit_id=None,
                name="Administrator",
                email=email.strip().lower(),
                role="super_admin",
                password_hash=password_hash,
                now=self._clock.now(),
            )
        if made is not None:
            _log.info("first administrator created")

    async def all_units(self) -> list[Unit]:
        """Newest first."""
        async with self._store.unit_of_work(None) as work:
            return await work.units.newest_first()

    async def get(self, unit_id: UUID) -> Unit | None:
        async with self._store.unit_of_work(None) as work:
            return await work.units.get(unit_id)

    async def add_unit(self, *, name: str, slug: str | None) -> Unit:
        """Raises InvalidInputError for a slug that is none, ConflictError for one that is taken."""
        wanted = slug if slug is not None else _slug_of(name)
        if not _SLUG.fullmatch(wanted):
            raise InvalidInputError("slug: lower-case letters, digits and hyphens, at most 64")
        async with self._store.unit_of_work(None) as work:
            unit = await work.units.add(name=name, slug=wanted, now=self._clock.now())
        if unit is None:
            raise ConflictError("This slug is taken")
        return unit

    async def all_users(self) -> list[User]:
        """Newest first."""
        async with self._store.unit_of_work(None) as work:
            return await work.users.newest_first()

    async def add_user(self, *, name: str, email: str, password: str, role: str, unit_id: UUID | None) -> User:
        """Raises InvalidInputError for a weak password or a role without unit, ConflictError for an address that is taken."""
        if len(password) < _PASSWORD_SHORTEST:
            raise InvalidInputError(f"password: at least {_PASSWORD_SHORTEST} characters")
        if (unit_id is None) != (role == "super_admin"):
            raise InvalidInputError("unitId: needed for unit_admin and agent, and for nobody else")
        if unit_id is not None and await self.get(unit_id) is None:
            raise InvalidInputError("unitId: no such unit")
        password_hash = await self._passwords.hash(password)
        async with self._store.unit_of_work(None) as work:
            user = await work.users.add(
                unit_id=unit_id,
                name=name,
                email=email.strip().lower(),
                role=role,
                password_hash=password_hash,
                now=self._clock.now(),
            )
        if user is None:
            raise ConflictError("This address is taken")
        return user


def _slug_of(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].strip("-")
