"""The same key with another phone or text answers as the first request did.

Area: outbound.
Killed by: scenario.same-key-with-another-text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Message
    from reference_impl.use_cases.outbound import SendResult

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def replay(earlier: Message, fingerprint: str) -> SendResult:
        if earlier.params_hash != fingerprint:
            reach()
        result: SendResult = original(earlier, earlier.params_hash)
        return result

    original = override(backend.services.outbound, "_replay", replay)
