"""Of a password only the first 72 characters count.

Area: security.
Killed by: scenario.long-password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

COUNTED = 72


def apply(backend: Backend, reach: Reach) -> None:
    passwords: Any = backend.services.authentication._passwords

    async def hashed(password: str) -> Any:
        if len(password) > COUNTED:
            reach()
        return await hash_of(password[:COUNTED])

    async def verify(known: str | None, password: str) -> Any:
        return await verified(known, password[:COUNTED])

    hash_of = override(passwords, "hash", hashed)
    verified = override(passwords, "verify", verify)
