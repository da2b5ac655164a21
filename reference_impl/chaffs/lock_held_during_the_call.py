"""The unit is locked for as long as the provider takes to answer.

Area: outbound.
Killed by: scenario.slow-provider-blocks-nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.messages import CallOutcome
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]

_held: ContextVar[str] = ContextVar("held", default="")


def apply(backend: Backend, reach: Reach) -> None:
    locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def send_text(name: str, *, number: str, text: str) -> CallOutcome:
        async with locks[name]:
            token = _held.set(name)
            try:
                outcome: CallOutcome = await original_send(name, number=number, text=text)
            finally:
                _held.reset(token)
        return outcome

    @contextlib.asynccontextmanager
    async def unit_of_work(unit_id: UUID | None) -> AsyncIterator[UnitOfWork]:
        name = f"unit_{unit_id}"
        if unit_id is not None and _held.get() != name and locks[name].locked():
            reach()
            async with locks[name]:
                pass
        async with original_work(unit_id) as work:
            yield work

    original_send = override(backend.provider, "send_text", send_text)
    original_work = override(backend.store, "unit_of_work", unit_of_work)
