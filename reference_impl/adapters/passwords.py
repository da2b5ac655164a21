"""argon2id, off the event loop and few at a time: each hash takes 19 MiB and a core, so parallel logins are a lever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import argon2

from reference_impl.domain.errors import ThrottledError

__all__ = ["ArgonPasswords"]

Result = TypeVar("Result")

_PARALLEL: Final = 2
_WAITING: Final = 32
# A hash of a password that nobody has: an unknown user costs the same time as a known one.
# golive:allow password-hash: it opens nothing, because nobody has the password
_UNKNOWN: Final = "$argon2id$v=19$m=19456,t=2,p=1$QMOqXZuEjMUfkExXyUC71A$7ULskjzS6q9zqfox8bXHQ/m2SbRRBl3PFlGxiMPIuC0"


class ArgonPasswords:
    """OWASP's parameters: 19 MiB, two passes, one lane. `close` ends its threads."""

    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._executor = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="argon2")
        self._inside = 0

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        matches = await self._run(lambda: self._verify(password_hash or _UNKNOWN, password))
        return matches and password_hash is not None

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._inside >= _WAITING:
            raise ThrottledError("Too many logins at once", retry_after_s=1.0)
        self._inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._inside -= 1
