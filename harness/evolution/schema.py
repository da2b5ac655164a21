"""Validates request bodies and words the faults as the server's validator does: clients get these texts.

Covers the keywords that the server's schemas use. A schema's `description` replaces the wording, as there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["faults_of"]

_TYPES: Mapping[str, Any] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
    "number": lambda value: not isinstance(value, bool) and isinstance(value, int | float),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def faults_of(body: Any, schema: Mapping[str, Any]) -> list[str]:
    """One text for each fault, in the validator's order; empty when the body is valid."""
    return list(_walk(body, schema, "instance"))


def _walk(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    said = schema.get("description")
    for text in _own_faults(value, schema):
        yield said or f"{path} {text}".replace("instance.", "", 1)
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            if name in value:
                yield from _walk(value[name], part, f"{path}.{name}")
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _walk(item, schema["items"], f"{path}[{index}]")


def _own_faults(value: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    kind = schema.get("type")
    if kind is not None and not _TYPES[kind](value):
        yield f"is not of a type(s) {kind}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"is not one of enum values: {','.join(schema['enum'])}"
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            yield f"does not meet minimum length of {schema['minLength']}"
        if "pattern" in schema and not re.search(schema["pattern"], value, re.ASCII):
            yield f"does not match pattern {json.dumps(schema['pattern'])}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield f"must be greater than or equal to {schema['minimum']}"
        if value > schema.get("maximum", value):
            yield f"must be less than or equal to {schema['maximum']}"
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"does not meet minimum length of {schema['minItems']}"
        if len(value) > schema.get("maxItems", len(value)):
            yield f"does not meet maximum length of {schema['maxItems']}"
        if schema.get("uniqueItems") and any(item in value[:index] for index, item in enumerate(value)):
            yield "contains duplicate item"
    if isinstance(value, dict):
        yield from (f'requires property "{name}"' for name in schema.get("required", ()) if name not in value)
