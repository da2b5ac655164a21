"""A message that the provider has accepted is shown as delivered.

Area: outbound.
Killed by: scenario.accepted-is-not-delivered.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def prove_sent(
        work: UnitOfWork, message: Message, *, external_id: str, remote_jid: str | None, now: datetime
    ) -> Message | None:
        sent: Message | None = await original(work, message, external_id=external_id, remote_jid=remote_jid, now=now)
        if sent is None or sent.status != "sent":
            return sent
        reach()
        delivered = replace(sent, status="delivered", delivered_at=now)
        await work.messages.save(delivered)
        return delivered

    original = override(backend.services.outbound, "prove_sent", prove_sent)
