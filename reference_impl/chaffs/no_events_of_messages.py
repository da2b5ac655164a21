"""Screens are not told how far a message is.

Area: outbound.
Killed by: scenario.events-of-the-unit-alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def announce(_: Message) -> None:
        reach()

    override(backend.services.outbound, "announce", announce)
