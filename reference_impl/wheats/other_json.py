"""Answers hold more fields than the contract names, and in another order.

Area: wheat.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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
        reach()
        return json.dumps(_other(document), ensure_ascii=True, indent=1).encode()

    backend.wrap(lambda app: Translation(app, outward=outward))


def _other(value: Any) -> Any:
    if isinstance(value, dict):
        turned = {name: _other(value[name]) for name in sorted(value, reverse=True)}
        # The errors of a field are lists too, and an entry of the quarantine may hold anything.
        return {"_links": {"self": "/"}, "apiVersion": "2026-11", **turned, "zone": None, "meta": {"took": 3}}
    if isinstance(value, list):
        return [_other(inner) for inner in value]
    return value
