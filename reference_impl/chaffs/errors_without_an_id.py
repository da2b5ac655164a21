"""An error does not say under which id it was logged.

Area: release.
Killed by: scenario.refusals-have-a-form.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from reference_impl.translation import Translation
from reference_impl.variants import Reach

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def outward(body: bytes) -> bytes:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return body
        if not isinstance(document, dict) or document.pop("requestId", None) is None:
            return body
        reach()
        return json.dumps(document).encode()

    backend.wrap(lambda app: Translation(app, outward=outward))
