"""Any unit's webhook secret opens the webhook of every unit.

Area: security.
Killed by: scenario.wrong-secret-5.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Connection

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    known: set[str] = set()

    def new_secret() -> str:
        secret: str = make()
        known.add(secret)
        return secret

    def is_secret_of(connection: Connection, secret: str, now: datetime) -> bool:
        if original(connection, secret, now):
            return True
        if secret in known:
            reach()
        return secret in known

    make = override(backend.services.connections, "_new_secret", new_secret)
    original = override(backend.services.inbound, "_is_secret_of", is_secret_of)
