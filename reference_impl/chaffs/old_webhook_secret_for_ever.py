"""A webhook secret that was rotated stays valid for ever.

Area: security.
Killed by: scenario.rotated-secret-expires.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Connection

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    ever: dict[UUID, set[str]] = defaultdict(set)

    def is_secret_of(connection: Connection, secret: str, now: datetime) -> bool:
        if original(connection, secret, now):
            ever[connection.unit_id].add(secret)
            return True
        if secret not in ever[connection.unit_id]:
            return False
        reach()
        return True

    original = override(backend.services.inbound, "_is_secret_of", is_secret_of)
