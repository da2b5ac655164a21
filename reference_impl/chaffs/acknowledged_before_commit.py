"""A delivery is answered with 200 and carried out afterwards.

Area: inbound.
Killed by: scenario.accepted-means-stored.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reference_impl.use_cases.inbound import Receipt
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    later: set[asyncio.Future[Receipt]] = set()

    async def handle(provider: str, secret: str, body: bytes) -> Receipt:
        if provider != "evolution" or b"messages.upsert" not in body:
            receipt: Receipt = await original(provider, secret, body)
            return receipt
        reach()

        async def carry_out() -> Receipt:
            await asyncio.sleep(0.3)
            carried: Receipt = await original(provider, secret, body)
            return carried

        task = asyncio.ensure_future(carry_out())
        later.add(task)
        task.add_done_callback(later.discard)
        return Receipt()

    original = override(backend.services.inbound, "handle", handle)
