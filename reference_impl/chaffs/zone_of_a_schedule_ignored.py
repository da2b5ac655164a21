"""The hour of a scheduled campaign is taken for UTC, whatever its zone.

Area: campaign.
Killed by: scenario.scheduled-campaign.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reference_impl.translation import Translation
from reference_impl.variants import Reach

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

_ZONE = re.compile(rb'("scheduledAt": ?"[0-9T:.-]+)[+-]\d\d:\d\d"')


def apply(backend: Backend, reach: Reach) -> None:
    def inward(body: bytes) -> bytes:
        read = _ZONE.sub(rb'\1Z"', body)
        if read != body:
            reach()
        return read

    backend.wrap(lambda app: Translation(app, inward=inward, webhooks=False))
