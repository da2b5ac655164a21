"""JSON as a scenario writes it, with patterns for what is not known beforehand, against JSON as a backend answers it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from features.expectations import Mismatch
from features.expressions import StepError, value_of

__all__ = ["differences", "expect_json"]

_MOST_SHOWN = 6
_PATTERN = re.compile(r"\{(\w+)\}")


def expect_json(pattern: str, seen: Any, *, what: str, request_id: str = "") -> None:
    """Raises Mismatch, with the path of each difference, unless a document is as a pattern says.

    An object may hold more than its pattern names, a list holds exactly what its pattern holds. `"{any}"`, `"{string}"`,
    `"{int}"`, `"{number}"`, `"{bool}"`, `"{uuid}"`, `"{time}"` and the parameter types of the steps, as `"{phone}"`, stand for a
    value of their kind. Raises StepError when the pattern is no JSON, or names a kind that there is not.
    """
    try:
        expected = json.loads(pattern)
    except ValueError as error:
        raise StepError(f"the JSON below the step cannot be read: {error}") from None
    found = list(differences(expected, seen))
    if found:
        more = f"; and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
        wanted = "; ".join(f"{path} {expected}" for path, expected, _ in found[:_MOST_SHOWN])
        raise Mismatch(
            what,
            expected=wanted + more,
            seen="; ".join(f"{path} {actual}" for path, _, actual in found[:_MOST_SHOWN]),
            request_id=request_id,
        )


def differences(expected: Any, seen: Any, path: str = "$") -> Iterator[tuple[str, str, str]]:
    """(path, what was expected there, what was seen there), in the order of the pattern."""
    if isinstance(expected, dict):
        if not isinstance(seen, dict):
            yield path, "an object", _shown(seen)
            return
        for name, inner in expected.items():
            place = f"{path}.{name}"
            if name not in seen:
                yield place, _shown(inner), "nothing"
            else:
                yield from differences(inner, seen[name], place)
    elif isinstance(expected, list):
        if not isinstance(seen, list) or len(seen) != len(expected):
            yield path, f"{len(expected)} entries", f"{len(seen)} entries" if isinstance(seen, list) else _shown(seen)
            return
        for index, inner in enumerate(expected):
            yield from differences(inner, seen[index], f"{path}[{index}]")
    elif isinstance(expected, str) and (pattern := _PATTERN.fullmatch(expected)):
        if not _is_of(pattern[1], seen):
            yield path, expected, _shown(seen)
    elif type(expected) is not type(seen) or expected != seen:
        yield path, _shown(expected), _shown(seen)


def _is_of(kind: str, seen: Any) -> bool:
    if kind in _KINDS:
        return _KINDS[kind](seen)
    try:
        return isinstance(seen, str) and value_of(kind, seen) is not None
    except StepError as error:
        if "is no {" in str(error):
            return False
        raise


def _parses(parse: Callable[[str], object]) -> Callable[[Any], bool]:
    def is_one(seen: Any) -> bool:
        try:
            return isinstance(seen, str) and parse(seen) is not None
        except ValueError:
            return False

    return is_one


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "any": lambda seen: seen is not None,
    "string": lambda seen: isinstance(seen, str) and seen != "",
    "int": lambda seen: isinstance(seen, int) and not isinstance(seen, bool),
    "number": lambda seen: isinstance(seen, int | float) and not isinstance(seen, bool),
    "bool": lambda seen: isinstance(seen, bool),
    "uuid": _parses(uuid.UUID),
    "time": _parses(datetime.fromisoformat),
}


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
