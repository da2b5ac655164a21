"""A number that is not on WhatsApp is tried again.

Area: outbound.
Killed by: scenario.number-not-on-whatsapp.
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
        if outcome.kind is not OutcomeClass.REJECTED:
            return outcome
        reach()
        return replace(outcome, kind=OutcomeClass.NOT_SENT)

    original = override(backend.provider, "send_text", send_text)
