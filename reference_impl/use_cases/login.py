"""Who somebody is: login, refresh with rotation, and the check of every request's token."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from reference_impl.domain.errors import ForbiddenError, ThrottledError, UnauthorizedError
from reference_impl.domain.limits import SlidingWindow
from reference_impl.domain.records import Principal, Unit, User
from reference_impl.ports import Clock, Metrics, Passwords, Store, TokenClaims, Tokens

__all__ = ["Authentication", "LoginResult"]

_WINDOW_S: Final = 300.0
_FAILURES_FOR_ACCOUNT: Final = 10
_FAILURES_FROM_ADDRESS: Final = 300
# In one process. More than hash at once, so that a password is looked up while another is hashed, and far fewer than there are
# connections to the database: a crowd of guesses must not take those that others need.
_AT_ONCE: Final = 4
_WAITING: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginResult:
    """Who logged in, with the tokens, and the unit that was asked for."""

    user: User
    access_token: str
    refresh_token: str
    target_unit: Unit | None


class Authentication:
    """Login limits count failures, by account and by the address of the connection: what a header claims does not matter."""

    def __init__(self, *, store: Store, clock: Clock, passwords: Passwords, tokens: Tokens, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._tokens = tokens
        self._metrics = metrics
        self._by_account = SlidingWindow(limit=_FAILURES_FOR_ACCOUNT, window_s=_WINDOW_S)
        self._checking: Counter[str] = Counter()
        self._by_address = SlidingWindow(limit=_FAILURES_FROM_ADDRESS, window_s=_WINDOW_S)
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def login(self, *, email: str, password: str, unit_slug: str | None, address: str) -> LoginResult:
        """Raises ThrottledError, UnauthorizedError (the same for an unknown user and a wrong password), ForbiddenError for
        another unit.
        """
        account = email.strip().lower()
        moment = self._clock.monotonic()
        wait = max(self._by_account.wait_s(account, moment), self._by_address.wait_s(address, moment))
        if wait > 0:
            self._metrics.count("logins", outcome="throttled")
            raise ThrottledError("Too many failed logins", retry_after_s=wait)
        # Those still being checked count too, from before the first wait, so that parallel guesses cannot slip through together.
        if self._checking[account] >= self._by_account.room(account, moment) or self._checking.total() >= _WAITING:
            self._metrics.count("logins", outcome="throttled")
            raise ThrottledError("Too many logins at once", retry_after_s=1.0)
        self._checking[account] += 1
        try:
            async with self._at_once:
                async with self._store.unit_of_work(None) as work:
                    user = await work.users.by_email(account)
                known_hash = user.password_hash if user is not None and user.is_active else None
                matches = await self._passwords.verify(known_hash, password)
        finally:
            self._checking[account] -= 1
            if not self._checking[account]:
                del self._checking[account]
        if user is None or not matches:
            self._by_account.note(account, moment)
            self._by_address.note(address, moment)
            self._metrics.count("logins", outcome="refused")
            raise UnauthorizedError("Invalid credentials")
        self._by_account.clear(account)
        async with self._store.unit_of_work(None) as work:
            target = await work.units.by_slug(unit_slug) if unit_slug else None
            if target is None and user.unit_id is not None and not unit_slug:
                target = await work.units.get(user.unit_id)
            allowed = user.role == "super_admin" or (target is not None and target.id == user.unit_id)
            if unit_slug and (target is None or not allowed):
                self._metrics.count("logins", outcome="forbidden")
                raise ForbiddenError("User does not belong to this unit")
            access = self._tokens.issue("access", user.id)
            refresh = self._tokens.issue("refresh", user.id)
            await work.refresh_tokens.add(
                user_id=user.id,
                unit_id=user.unit_id,
                family_id=uuid4(),
                token_hash=_hash(refresh.text),
                now=self._clock.now(),
                expires_at=refresh.expires_at,
            )
        self._metrics.count("logins", outcome="ok")
        return LoginResult(user=user, access_token=access.text, refresh_token=refresh.text, target_unit=target)

    async def refresh(self, token: str) -> tuple[str, str]:
        """A new access and refresh token; the old one is dead, and used again it kills its whole family. Raises
        UnauthorizedError.
        """
        claims = self._tokens.read("refresh", token)
        now = self._clock.now()
        async with self._store.unit_of_work(None) as work:
            stored = await work.refresh_tokens.by_hash(_hash(token))
            user = await work.users.get(claims.user_id)
            reused = stored is not None and (stored.used_at is not None or stored.revoked_at is not None)
            if stored is not None and reused:
                await work.refresh_tokens.revoke_family(stored.family_id, now)
            if stored is None or reused or stored.expires_at <= now or user is None or not _may_use(user, claims):
                rotated = None
            else:
                access = self._tokens.issue("access", user.id)
                renewed = self._tokens.issue("refresh", user.id)
                await work.refresh_tokens.mark_used(stored.id, now)
                await work.refresh_tokens.add(
                    user_id=user.id,
                    unit_id=user.unit_id,
                    family_id=stored.family_id,
                    token_hash=_hash(renewed.text),
                    now=now,
                    expires_at=renewed.expires_at,
                )
                rotated = access.text, renewed.text
        if rotated is None:
            self._metrics.count("refreshes", outcome="reused" if reused else "refused")
            raise UnauthorizedError("Unauthorized")
        self._metrics.count("refreshes", outcome="ok")
        return rotated

    def claims_of(self, token: str) -> TokenClaims:
        """What an access token proves by itself, without a look at the database. Raises UnauthorizedError."""
        return self._tokens.read("access", token)

    async def authenticate(self, token: str) -> Principal:
        """Who sends this access token, as the database knows him now. Raises UnauthorizedError."""
        claims = self._tokens.read("access", token)
        async with self._store.unit_of_work(None) as work:
            user = await work.users.get(claims.user_id)
        if user is None or not _may_use(user, claims):
            raise UnauthorizedError("Unauthorized")
        return Principal(user_id=user.id, unit_id=user.unit_id, role=user.role)


def _may_use(user: User, claims: TokenClaims) -> bool:
    return user.is_active and (user.password_changed_at is None or claims.issued_at >= user.password_changed_at)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
