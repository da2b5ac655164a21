"""Duplicates are answered 200 with no body at all.

Area: wheat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.translation import Translation, in_json
from reference_impl.variants import Reach

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def nothing(document: dict[str, Any]) -> bytes | None:
        if document.get("duplicate") is not True:
            return None
        reach()
        return b""

    backend.wrap(lambda app: Translation(app, outward=in_json(nothing)))
