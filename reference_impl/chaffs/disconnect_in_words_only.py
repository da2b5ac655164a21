"""A disconnect is shown and not asked of the provider.

Area: connect.
Killed by: scenario.disconnect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def logout(_: str) -> None:
        reach()

    override(backend.provider, "logout", logout)
