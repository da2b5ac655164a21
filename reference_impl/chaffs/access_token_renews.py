"""An access token is taken for a refresh token.

Area: security.
Killed by: scenario.refresh-token-rotates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.domain.errors import UnauthorizedError
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    authentication: Any = backend.services.authentication

    async def refresh(token: str) -> tuple[str, str]:
        try:
            rotated: tuple[str, str] = await original(token)
        except UnauthorizedError:
            user_id = authentication.claims_of(token).user_id
            reach()
            return authentication._tokens.issue("access", user_id).text, authentication._tokens.issue("refresh", user_id).text
        return rotated

    original = override(authentication, "refresh", refresh)
