"""The webhook is registered with another secret than the one that is verified.

Area: connect.
Killed by: scenario.connect-generates-qr, flow.scan-updates-status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def create_instance(name: str, *, webhook_url: str) -> bool:
        reach()
        created: bool = await original(name, webhook_url=f"{webhook_url}x")
        return created

    original = override(backend.provider, "create_instance", create_instance)
    # The poll would mend the status that the lost webhook leaves behind.
    override(backend.provider, "state", _never_known)


async def _never_known(_: str) -> None:
    return None
