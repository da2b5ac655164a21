"""An error does not say under which id it was logged.

Area: release.
Killed by: scenario.refusals-have-a-form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.translation import Translation, in_json
from reference_impl.variants import Reach

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def nameless(document: dict[str, Any]) -> dict[str, Any] | None:
        if document.pop("requestId", None) is None:
            return None
        reach()
        return document

    backend.wrap(lambda app: Translation(app, outward=in_json(nameless)))
