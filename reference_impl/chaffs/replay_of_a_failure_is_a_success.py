"""The key of a message that failed answers success.

Area: outbound.
Killed by: scenario.replay-of-a-failure-is-none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message
    from reference_impl.use_cases.outbound import SendResult

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def replay(earlier: Message, fingerprint: str) -> SendResult:
        result: SendResult = original(earlier, fingerprint)
        if earlier.status != "failed":
            return result
        reach()
        return replace(result, message=replace(result.message, status="sent"))

    original = override(backend.services.outbound, "_replay", replay)
