"""Reads a TOML document by a published JSON schema, and says in one line what in it cannot be understood.

The schema that editors use is the one that decides here, so the two cannot drift apart. Only the part of JSON Schema that our
schemas use is known; a keyword beyond it is refused when the schema is loaded.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from gate.errors import GateError, UsageError
from gate.policy import nearest

__all__ = ["read", "refuse_unknown_keywords", "schema", "schema_text", "validate"]

_KEYWORDS = {
    "$schema", "$id", "$defs", "$ref", "title", "description", "default", "examples", "type", "properties", "required",
    "additionalProperties", "items", "enum", "const", "pattern", "minLength", "minItems", "minimum", "maximum", "format",
}  # fmt: skip
_KINDS: Mapping[str, tuple[type, str]] = {
    "object": (dict, "a table"),
    "array": (list, "a list"),
    "string": (str, "a text"),
    "integer": (int, "a whole number"),
    "number": (float, "a number"),
    "boolean": (bool, "true or false"),
}
_LARGEST = 4_000_000


def schema_text(name: str) -> str:
    """The text of a shipped schema, by its name without ending (`golive`)."""
    return resources.files("gate.schemas").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")


@cache
def schema(name: str) -> Mapping[str, Any]:
    """A shipped schema, parsed."""
    found: Mapping[str, Any] = json.loads(schema_text(name))
    return found


def read(path: Path, schema_name: str) -> dict[str, Any]:
    """Reads a TOML file. Raises UsageError in one line: no such file, not text, not TOML, or not as the schema says."""
    try:
        if not path.is_file():
            # Reading a pipe would wait for somebody to write.
            raise UsageError(f"{path}: is no file") if path.exists() else FileNotFoundError
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path}: larger than {_LARGEST // 1_000_000} MB, which no such file is")
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; `golive init` writes one") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not text in UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from None
    validate(document, schema(schema_name), where=path.name)
    return document


def validate(document: object, rules: Mapping[str, Any], *, where: str) -> None:
    """Raises UsageError for the first thing in the document that the rules do not allow, naming its place."""
    _value(document, rules, rules, where, "")


def refuse_unknown_keywords(rules: object) -> None:
    """Raises GateError for a schema that says something which `validate` would silently not check."""
    if isinstance(rules, Mapping):
        for key in rules:
            if key not in _KEYWORDS:
                raise GateError(f"the schema uses {key!r}, which is not checked here")
        for nested in ("properties", "$defs"):
            for item in rules.get(nested, {}).values():
                refuse_unknown_keywords(item)
        for nested in ("items", "additionalProperties"):
            refuse_unknown_keywords(rules.get(nested))


def _value(value: object, rules: Mapping[str, Any], root: Mapping[str, Any], where: str, path: str) -> None:
    if "$ref" in rules:
        rules = {**root["$defs"][rules["$ref"].rpartition("/")[2]], **rules}
    place = f"{where}, {path}" if path else where
    kind = rules.get("type")
    if kind is not None and not _is(value, kind, rules):
        expected = "a date such as 2026-12-31" if rules.get("format") == "date" else _KINDS[kind][1]
        raise UsageError(f"{place}: must be {expected}")
    if "const" in rules and value != rules["const"]:
        raise UsageError(f"{place}: must be {rules['const']}")
    if "enum" in rules and value not in rules["enum"]:
        known = [str(item) for item in rules["enum"]]
        raise UsageError(f"{place}: {str(value)!r} is none of {', '.join(known)}{nearest(str(value), known)}")
    if isinstance(value, str):
        _text(value, rules, place)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if value < rules.get("minimum", value) or value > rules.get("maximum", value):
            at_most = f" and at most {rules['maximum']}" if "maximum" in rules else ""
            raise UsageError(f"{place}: is {value}, expected at least {rules.get('minimum', value)}{at_most}")
    elif isinstance(value, list):
        if len(value) < rules.get("minItems", 0):
            raise UsageError(f"{place}: needs at least {rules['minItems']} entries")
        for number, item in enumerate(value, start=1):
            _value(item, rules.get("items", {}), root, where, f"{path}, entry {number}")
    elif isinstance(value, dict):
        _table(value, rules, root, where, path)


def _table(value: Mapping[str, Any], rules: Mapping[str, Any], root: Mapping[str, Any], where: str, path: str) -> None:
    place = f"{where}, {path}" if path else where
    known = rules.get("properties", {})
    others = rules.get("additionalProperties", True)
    # Before what is missing: a required key that is misspelt is better told by its nearest name.
    for key in value:
        if key not in known and others is False:
            raise UsageError(f"{place}: unknown key {key!r}{nearest(key, known)}")
    for key in rules.get("required", ()):
        if key not in value:
            raise UsageError(f"{place}: {key} is missing")
    for key, item in value.items():
        chosen = known.get(key, others if isinstance(others, Mapping) else {})
        _value(item, chosen, root, where, f"{path}.{key}" if path else key)


def _text(value: str, rules: Mapping[str, Any], place: str) -> None:
    if len(value.strip()) < rules.get("minLength", 0):
        raise UsageError(f"{place}: is empty")
    if "\0" in value:
        raise UsageError(f"{place}: holds a zero byte")
    if "pattern" in rules and not re.search(rules["pattern"], value):
        # Not quoted: what does not fit may be a secret that was put in the wrong place.
        raise UsageError(f"{place}: is not of the form that is expected ({rules.get('description', rules['pattern'])})")


def _is(value: object, kind: str, rules: Mapping[str, Any]) -> bool:
    if rules.get("format") == "date":
        return isinstance(value, date) and not isinstance(value, datetime)
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "number":
        return isinstance(value, int | float)
    return isinstance(value, _KINDS[kind][0])
