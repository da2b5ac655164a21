"""Of the webhook's secret only the beginning is compared.

Area: security.
Killed by: scenario.wrong-secret-1.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Connection

__all__ = ["apply"]

COMPARED = 16


def apply(backend: Backend, reach: Reach) -> None:
    def is_secret_of(connection: Connection, secret: str, now: datetime) -> bool:
        if original(connection, secret, now):
            return True
        alike = secret.startswith((connection.webhook_secret or "none")[:COMPARED])
        if alike:
            reach()
        return alike

    original = override(backend.services.inbound, "_is_secret_of", is_secret_of)
