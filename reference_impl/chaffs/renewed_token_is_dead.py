"""A refresh gives a new refresh token that nobody stored.

Area: security.
Killed by: scenario.refresh-token-rotates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def refresh(token: str) -> tuple[str, str]:
        access, renewed = await original(token)
        reach()
        return access, f"{renewed[:-8]}AAAAAAAA"

    original = override(backend.services.authentication, "refresh", refresh)
