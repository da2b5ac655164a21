"""Ids are whole numbers, but for those of units, from which the contract derives the instance.

Area: wheat.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from reference_impl.translation import Translation
from reference_impl.variants import Reach

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_IN_A_PATH = re.compile(rb"(?<=/)\d{5,15}(?=/|$)")
_FIRST = 70_001
_KEYS = {"id", "conversationId", "contactId", "internalId", "userId", "campaignId", "messageId"}
_UNITS = {"unitId", "unit_id"}


def apply(backend: Backend, reach: Reach) -> None:
    numbers: dict[str, int] = {}
    ids: dict[int, str] = {}

    def number_of(identity: str) -> int:
        if identity not in numbers:
            reach()
            numbers[identity] = _FIRST + 7 * len(numbers)
            ids[numbers[identity]] = identity
        return numbers[identity]

    def outwards(value: Any, key: str, *, of_unit: bool = False) -> Any:
        if isinstance(value, dict):
            # A unit is told by its slug; whatever names no slug is something else.
            return {name: outwards(inner, name, of_unit="slug" in value) for name, inner in value.items()}
        if isinstance(value, list):
            return [outwards(inner, key, of_unit=False) for inner in value]
        if isinstance(value, str) and key in _KEYS and key not in _UNITS and not of_unit and _UUID.fullmatch(value):
            return number_of(value)
        return value

    def inwards(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {name: inwards(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [inwards(inner, key) for inner in value]
        if isinstance(value, int) and not isinstance(value, bool) and key == "contactIds":
            return ids.get(value, "00000000-0000-4000-8000-000000000000")
        return value

    def outward(body: bytes) -> bytes:
        if body.startswith(b"event:"):
            lines = body.split(b"\n")
            return b"\n".join(b"data: " + _json(line[6:], outwards) if line.startswith(b"data: ") else line for line in lines)
        return _json(body, outwards)

    def inward(body: bytes) -> bytes:
        if body.startswith(b"/"):
            return _IN_A_PATH.sub(lambda found: ids.get(int(found[0]), found[0].decode()).encode(), body)
        return _json(body, inwards)

    backend.wrap(lambda app: Translation(app, inward=inward, outward=outward, webhooks=False))


def _json(body: bytes, change: Any) -> bytes:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if not isinstance(document, dict | list):
        return body
    return json.dumps(change(document, ""), ensure_ascii=False).encode("utf-8", "surrogatepass")
