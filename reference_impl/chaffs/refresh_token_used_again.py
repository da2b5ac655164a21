"""A refresh token can be used again.

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
    given: dict[str, tuple[str, str]] = {}

    async def refresh(token: str) -> tuple[str, str]:
        if token in given:
            reach()
        else:
            given[token] = await original(token)
        return given[token]

    original = override(backend.services.authentication, "refresh", refresh)
