"""A doubtful message is looked up only under the number as it was written.

Area: outbound.
Killed by: scenario.doubt-is-settled-without-ninth-digit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.domain.connections import instance_name
from reference_impl.domain.phones import jid_digits
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message
    from reference_impl.domain.webhooks import Echo
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    reconciliation: Any = backend.services.inbound._reconciliation

    async def look_up(message: Message) -> list[Echo]:
        reach()
        jid = f"{message.recipient_phone}@s.whatsapp.net"
        found = await backend.provider.sent_messages(instance_name(message.unit_id), remote_jid=jid)
        return [record for record in found if record.text == message.content]

    async def by_echo(work: UnitOfWork, unit_id: UUID, found: Echo) -> Any:
        written = await work.messages.doubtful_to(unit_id, (jid_digits(found.remote_jid),), found.text)
        return await original(work, unit_id, found) if written else None

    override(reconciliation, "_look_up", look_up)
    original = override(reconciliation, "by_echo", by_echo)
