"""After the third refusal the message is tried once more.

Area: outbound.
Killed by: scenario.three-attempts-at-most, flow.retry-stops-at-three.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.messages import CallOutcome

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    calls: Counter[tuple[str, str, str]] = Counter()

    async def send_text(name: str, *, number: str, text: str) -> CallOutcome:
        outcome: CallOutcome = await original(name, number=number, text=text)
        calls[name, number, text] += 1
        if calls[name, number, text] == 3:
            reach()
            await original(name, number=number, text=text)
        return outcome

    original = override(backend.provider, "send_text", send_text)
