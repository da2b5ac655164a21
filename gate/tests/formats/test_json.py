"""The JSON is what its schema says, whatever the outcomes hold."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

from gate.formats import render
from gate.formats.json import SCHEMA_VERSION
from gate.tests.outcomes import HOSTILE, MIXED, verdict

SCHEMA = json.loads(resources.files("gate.formats").joinpath("result.schema.json").read_text(encoding="utf-8"))
TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}


def violations(value: Any, schema: dict[str, Any], where: str = "$") -> list[str]:
    """The part of JSON Schema that the schema beside the format uses."""
    if "$ref" in schema:
        return violations(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], where)
    found: list[str] = []
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, TYPES[kind]) for kind in kinds):
        found.append(f"{where} is not {kinds}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where} is {value!r}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{where} is {value!r}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{where} is {value!r}")
    if isinstance(value, dict):
        found += [f"{where} lacks {name}" for name in schema.get("required", []) if name not in value]
        for name, item in value.items():
            more = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            found += [f"{where} must not have {name}"] if more is False else violations(item, more, f"{where}.{name}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += violations(item, schema.get("items", {}), f"{where}[{number}]")
    return found


def test_it_is_as_its_schema_says() -> None:
    document = json.loads(render("json", MIXED, verdict(*MIXED)))
    assert violations(document, SCHEMA) == []
    assert document["schema_version"] == SCHEMA_VERSION == SCHEMA["properties"]["schema_version"]["const"]


def test_the_schema_would_notice_a_difference() -> None:
    document = json.loads(render("json", MIXED, verdict(*MIXED)))
    document["outcomes"][0]["status"] = "green"
    del document["verdict"]["passed"]
    document["more"] = 1
    assert sorted(violations(document, SCHEMA)) == [
        "$ must not have more",
        "$.outcomes[0].status is 'green'",
        "$.verdict lacks passed",
    ]


def test_it_holds_every_outcome_and_the_verdict_in_a_fixed_order() -> None:
    text = render("json", MIXED, verdict(*MIXED))
    document = json.loads(text)
    assert text == render("json", MIXED[::-1], verdict(*MIXED))
    assert [item["id"] for item in document["outcomes"]] == sorted(outcome.id for outcome in MIXED)
    assert document["verdict"]["decision"] == "NO-GO"
    assert document["counts"] == {"pass": 1, "skip": 1, "warn": 1, "inconclusive": 1, "error": 1, "fail": 1}


def test_any_text_survives_and_the_file_is_ascii() -> None:
    text = render("json", MIXED, verdict(*MIXED))
    assert text.isascii()
    reasons = {item["id"]: item["reason"] for item in json.loads(text)["outcomes"]}
    assert reasons["config.environment"] == HOSTILE
