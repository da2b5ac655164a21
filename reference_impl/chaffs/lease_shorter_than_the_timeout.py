"""A worker's lease ends before its call to the provider does, and another sends the message again.

Area: outbound.
Killed by: scenario.slow-provider-sends-once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    outbound = backend.services.outbound
    override(outbound, "_lease", timedelta(seconds=1))

    async def recover() -> int:
        now = backend.clock.now()
        taken = []
        async with backend.store.unit_of_work(None) as work:
            for message in await work.messages.stale_sending(now, 100):
                reach()
                free = replace(message, status="queued", next_attempt_at=now, lease_until=None, lease_token=None)
                await work.messages.save(free)
                taken.append(message.unit_id)
        # At once: the answer to the first call may be on its way.
        for unit_id in taken:
            await outbound.send_due(unit_id)
        recovered: int = await original()
        return recovered

    original = override(outbound, "recover", recover)
