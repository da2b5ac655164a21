"""A delivery that cannot be read is answered with 500, and comes again for ever.

Area: inbound.
Killed by: scenario.poison-is-quarantined-1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def handle(provider: str, secret: str, body: bytes) -> Any:
        receipt = await original(provider, secret, body)
        if receipt.warning == "quarantined":
            reach()
            raise ValueError("the delivery cannot be read")
        return receipt

    original = override(backend.services.inbound, "handle", handle)
