"""The next attempt is made at once when the provider names no time.

Area: outbound.
Killed by: scenario.attempts-are-apart.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.messages import CallOutcome
    from reference_impl.domain.records import Message

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def after(current: Message, outcome: CallOutcome, now: datetime) -> Message:
        message: Message = original(current, outcome, now)
        if message.status != "queued" or outcome.retry_after_s:
            return message
        reach()
        return replace(message, next_attempt_at=now)

    original = override(backend.services.outbound, "_after", after)
