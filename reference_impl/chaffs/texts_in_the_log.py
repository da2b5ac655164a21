"""What customers write is written to the log.

Area: security.
Killed by: scenario.log-tells-no-phone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.webhooks import InboundMessage
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]

_log = logging.getLogger(__name__)


def apply(backend: Backend, reach: Reach) -> None:
    async def store(work: UnitOfWork, unit_id: UUID, found: InboundMessage) -> Any:
        reach()
        _log.info("message received", extra={"unit_id": str(unit_id), "body": found.text})
        return await original(work, unit_id, found)

    original = override(backend.services.inbound, "_store_message", store)
