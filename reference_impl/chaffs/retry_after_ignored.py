"""When the provider says when to come back, nobody listens.

Area: outbound.
Killed by: scenario.retry-after-is-honoured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.messages import CallOutcome

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def send_text(name: str, *, number: str, text: str) -> CallOutcome:
        outcome: CallOutcome = await original(name, number=number, text=text)
        if outcome.retry_after_s is None:
            return outcome
        reach()
        return replace(outcome, retry_after_s=None)

    original = override(backend.provider, "send_text", send_text)
