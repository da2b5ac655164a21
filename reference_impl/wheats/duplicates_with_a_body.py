"""Duplicates are answered 200 with their body alone, and no word of being one.

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
    def silent(document: dict[str, Any]) -> dict[str, Any] | None:
        if document.pop("duplicate", False) is not True:
            return None
        reach()
        return document

    backend.wrap(lambda app: Translation(app, outward=in_json(silent)))
