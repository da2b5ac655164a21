"""Every 400 of the provider counts as a refusal for good, also one after which the message went out.

Area: outbound.
Killed by: scenario.outcome-not-known-1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.domain.messages import CallOutcome, OutcomeClass
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def send_text(name: str, *, number: str, text: str) -> CallOutcome:
        outcome: CallOutcome = await original(name, number=number, text=text)
        if outcome.kind is not OutcomeClass.UNKNOWN or outcome.detail != "HTTP 400":
            return outcome
        reach()
        return replace(outcome, kind=OutcomeClass.REJECTED)

    original = override(backend.provider, "send_text", send_text)
