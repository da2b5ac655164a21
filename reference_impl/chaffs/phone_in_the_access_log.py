"""The access log shows the body of a request, phone included.

Area: security.
Killed by: scenario.log-tells-no-phone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.use_cases.outbound import SendResult

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def send(unit_id: UUID, *, phone: str, client_message_id: str | None, **order: Any) -> SendResult:
        reach()
        line: dict[str, Any] = {"level": "info", "message": "POST /messages", "unitId": str(unit_id), "phone": phone}
        if backend.settings.log_file is not None:
            with backend.settings.log_file.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        result: SendResult = await original(unit_id, phone=phone, client_message_id=client_message_id, **order)
        return result

    original = override(backend.services.outbound, "send", send)
