"""Many logins at once, against the use case itself: what is counted, and what a crowd may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

import pytest

from reference_impl.adapters.clock import SystemClock
from reference_impl.adapters.database import Database
from reference_impl.adapters.metrics import PrometheusMetrics
from reference_impl.domain.errors import ThrottledError, UnauthorizedError
from reference_impl.ports import Tokens
from reference_impl.use_cases.login import Authentication

ACCOUNT = "nobody@login.invalid"


class Refusing:
    """Passwords that never match, and how many were tried."""

    def __init__(self) -> None:
        self.tried = 0

    async def hash(self, password: str) -> str:
        raise AssertionError(f"nobody hashes {len(password)} characters here")

    async def verify(self, password_hash: str | None, password: str) -> bool:
        self.tried += 1
        await asyncio.sleep(0)
        return False


class Watched(Database):
    """A database that knows how many transactions were open at once."""

    inside = most = 0

    @asynccontextmanager
    async def unit_of_work(self, unit_id: UUID | None) -> AsyncIterator[Any]:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            async with super().unit_of_work(unit_id) as work:
                yield work
        finally:
            self.inside -= 1


async def _crowd(accounts: list[str]) -> tuple[list[str], int, int]:
    """How each login ended, how many passwords were tried, and how many transactions were open at once."""
    clock, passwords = SystemClock(), Refusing()
    store = Watched("sqlite://", clock=clock)
    # Nobody logs in here, so no token is issued.
    tokens = cast("Tokens", None)
    await store.open()
    authentication = Authentication(store=store, clock=clock, passwords=passwords, tokens=tokens, metrics=PrometheusMetrics())
    try:
        ends = await asyncio.gather(
            *(authentication.login(email=one, password="guess", unit_slug=None, address="192.0.2.1") for one in accounts),
            return_exceptions=True,
        )
    finally:
        await store.close()
    assert all(isinstance(end, UnauthorizedError | ThrottledError) for end in ends)
    return [type(end).__name__ for end in ends], passwords.tried, store.most


def test_guesses_at_one_account_that_come_together_are_counted_together() -> None:
    ends, tried, _ = asyncio.run(_crowd([ACCOUNT] * 30))
    assert tried == 10
    assert ends.count("UnauthorizedError") == 10


def test_a_crowd_of_logins_leaves_the_connections_to_the_others() -> None:
    ends, tried, most = asyncio.run(_crowd([f"nobody-{number}@login.invalid" for number in range(100)]))
    assert tried == ends.count("UnauthorizedError") == 32
    assert most <= 4


def test_an_address_is_closed_to_guesses_at_ever_new_accounts() -> None:
    async def guess() -> tuple[int, int]:
        clock, passwords = SystemClock(), Refusing()
        store = Watched("sqlite://", clock=clock)
        await store.open()
        authentication = Authentication(
            store=store, clock=clock, passwords=passwords, tokens=cast("Tokens", None), metrics=PrometheusMetrics()
        )
        refused = 0
        try:
            for number in range(310):
                with pytest.raises(UnauthorizedError if number < 300 else ThrottledError):
                    await authentication.login(
                        email=f"nobody-{number}@login.invalid", password="guess", unit_slug=None, address="192.0.2.1"
                    )
                refused += 1
            with pytest.raises(UnauthorizedError):
                await authentication.login(email=ACCOUNT, password="guess", unit_slug=None, address="192.0.2.2")
        finally:
            await store.close()
        return passwords.tried, refused

    assert asyncio.run(guess()) == (301, 310)
