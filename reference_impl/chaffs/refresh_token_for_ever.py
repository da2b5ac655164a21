"""A refresh token can be used long after its seven days.

Area: security.
Killed by: scenario.refresh-token-expires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

LIFE_S = 7 * 86_400.0


def apply(backend: Backend, reach: Reach) -> None:
    authentication: Any = backend.services.authentication
    seen: dict[str, tuple[UUID, float]] = {}

    async def login(**order: Any) -> Any:
        result = await sign_in(**order)
        seen[result.refresh_token] = result.user.id, backend.clock.monotonic()
        return result

    async def refresh(token: str) -> tuple[str, str]:
        user_id, since = seen.pop(token, (None, 0.0))
        if user_id is None or backend.clock.monotonic() - since < LIFE_S:
            rotated: tuple[str, str] = await original(token)
            return rotated
        reach()
        return authentication._tokens.issue("access", user_id).text, authentication._tokens.issue("refresh", user_id).text

    sign_in = override(authentication, "login", login)
    original = override(authentication, "refresh", refresh)
