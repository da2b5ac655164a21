"""Validates request bodies and words the faults as the server's validator does: clients get these texts.

Covers the keywords that the server's schemas use. The faults come in the order in which a schema lists its keywords, as there; a
schema's `description` replaces the wording. `notEmpty` names properties that must not be empty, a rule that the server applies
only where an object has no other property than these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["faults_of", "located_faults"]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": _is_number,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def faults_of(body: Any, schema: Mapping[str, Any]) -> list[str]:
    """One text for each fault, in the validator's order; empty when the body is valid."""
    if _is_plainly_valid(body, schema):
        return []
    return [text for _, text in _walk(body, schema, "instance")]


def located_faults(body: Any, schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """The same with the place of each, as the server's routes for groups show them: `{"property", "message"}`."""
    return [{"property": path.replace("instance.", "", 1), "message": text} for path, text in _walk(body, schema, "instance")]


Fault = tuple[str, str]


class _Plain:
    """What can be said of an object without walking its schema: which properties are there, and of which type."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        # Holds the schema, so that its identity stays its own.
        self.schema = schema
        self.required = tuple(schema.get("required", ()))
        parts = schema.get("properties", {})
        self.named = frozenset(parts)
        simple = {name: part["type"] for name, part in parts.items() if part.keys() <= {"type", "description"} and "type" in part}
        self.types = {name: _EXACT[kind] for name, kind in simple.items() if kind in _EXACT}
        self.usable = schema.keys() <= {"type", "required", "properties"} and schema.get("type") == "object"


_EXACT: Mapping[str, type] = {"string": str, "boolean": bool, "integer": int}
_plain: dict[int, _Plain] = {}


def _is_plainly_valid(body: Any, schema: Mapping[str, Any]) -> bool:
    plain = _plain.get(id(schema))
    if plain is None or plain.schema is not schema:
        plain = _plain[id(schema)] = _Plain(schema)
    if not plain.usable or type(body) is not dict:
        return False
    for name in plain.required:
        if name not in body:
            return False
    types, named = plain.types, plain.named
    for name, value in body.items():  # noqa: SIM110 – runs on every request, and the loop is the faster form
        if name in named and type(value) is not types.get(name):
            return False
    return True


def _walk(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[Fault]:
    said = schema.get("description")
    for keyword, rule in schema.items():
        if keyword in _WITHIN:
            yield from _WITHIN[keyword](value, rule, path)
        elif keyword in _RULES:
            for text in _RULES[keyword](value, rule):
                yield path, said or f"{path} {text}".replace("instance.", "", 1)


def _within_properties(value: Any, properties: Mapping[str, Any], path: str) -> Iterator[Fault]:
    if isinstance(value, dict):
        for name, schema in properties.items():
            if name in value:
                yield from _walk(value[name], schema, f"{path}.{name}")


def _within_items(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[Fault]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, schema, f"{path}[{index}]")


def _not_empty(value: Any, names: tuple[str, ...], path: str) -> Iterator[Fault]:
    if not isinstance(value, dict) or not set(value) <= set(names):
        return
    for name in names:
        if value.get(name) == "":
            yield f"{path}.{name}", f'The "{name}" cannot be empty'


_WITHIN: Mapping[str, Callable[[Any, Any, str], Iterator[Fault]]] = {
    "properties": _within_properties,
    "items": _within_items,
    "notEmpty": _not_empty,
}


def _type(value: Any, kind: str) -> Iterator[str]:
    if not _TYPES[kind](value):
        yield f"is not of a type(s) {kind}"


def _enum(value: Any, allowed: list[Any]) -> Iterator[str]:
    # Python takes True for 1.
    if not any(isinstance(value, bool) is isinstance(one, bool) and value == one for one in allowed):
        shown = (str(one).lower() if isinstance(one, bool) else str(one) for one in allowed)
        yield f"is not one of enum values: {','.join(shown)}"


def _min_length(value: Any, least: int) -> Iterator[str]:
    if isinstance(value, str) and len(value) < least:
        yield f"does not meet minimum length of {least}"


def _pattern(value: Any, pattern: str) -> Iterator[str]:
    if isinstance(value, str) and not re.search(pattern, value, re.ASCII):
        yield f"does not match pattern {json.dumps(pattern)}"


def _minimum(value: Any, least: float) -> Iterator[str]:
    if _is_number(value) and value < least:
        yield f"must be greater than or equal to {least}"


def _maximum(value: Any, most: float) -> Iterator[str]:
    if _is_number(value) and value > most:
        yield f"must be less than or equal to {most}"


def _min_items(value: Any, least: int) -> Iterator[str]:
    if isinstance(value, list) and len(value) < least:
        yield f"does not meet minimum length of {least}"


def _max_items(value: Any, most: int) -> Iterator[str]:
    if isinstance(value, list) and len(value) > most:
        yield f"does not meet maximum length of {most}"


def _unique_items(value: Any, wanted: bool) -> Iterator[str]:
    if isinstance(value, list) and wanted:
        shown = [json.dumps(item, sort_keys=True) for item in value]
        if len(set(shown)) < len(shown):
            yield "contains duplicate item"


def _required(value: Any, names: list[str]) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f'requires property "{name}"' for name in names if name not in value)


_RULES: Mapping[str, Callable[[Any, Any], Iterator[str]]] = {
    "type": _type,
    "enum": _enum,
    "minLength": _min_length,
    "pattern": _pattern,
    "minimum": _minimum,
    "maximum": _maximum,
    "minItems": _min_items,
    "maxItems": _max_items,
    "uniqueItems": _unique_items,
    "required": _required,
}
