"""Readiness answers 200 although the database is down.

Area: release.
Killed by: scenario.ready-tells-what-is-down-1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def database() -> str:
        if await original() != "ok":
            reach()
        return "ok"

    original = override(backend.services.readiness, "_database", database)
