"""The JSON is what its schema says, whatever the outcomes hold."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator

from gate.difference import Side, compare
from gate.formats import render
from gate.formats.json import SCHEMA_VERSION
from gate.model import Status
from gate.tests.outcomes import HOSTILE, MIXED, outcome, result

SCHEMA = json.loads(resources.files("gate.formats").joinpath("result.schema.json").read_text(encoding="utf-8"))


def violations(document: Any) -> list[str]:
    found = Draft202012Validator(SCHEMA).iter_errors(document)
    return sorted(f"{error.json_path}: {error.message}" for error in found)


def test_it_is_as_its_schema_says() -> None:
    document = json.loads(render("json", result(*MIXED)))
    assert violations(document) == []
    assert document["schema_version"] == SCHEMA_VERSION == SCHEMA["properties"]["schema_version"]["const"]


def test_the_schema_would_notice_a_difference() -> None:
    document = json.loads(render("json", result(*MIXED)))
    document["outcomes"][0]["status"] = "green"
    del document["verdict"]["passed"]
    document["more"] = 1
    assert violations(document) == [
        "$.outcomes[0].status: 'green' is not one of ['pass', 'skip', 'warn', 'inconclusive', 'error', 'fail']",
        "$.verdict: 'passed' is a required property",
        "$: Additional properties are not allowed ('more' was unexpected)",
    ]


def test_what_was_not_asked_and_what_changed_are_in_it_too() -> None:
    asked = outcome("schema.a", Status.ERROR, "nothing listens there")
    not_asked = replace(outcome("schema.b", Status.ERROR, "not asked, because of schema.a"), cause="schema.a")
    before = Side(outcomes=(outcome("schema.a"),), name="run-1", decision="GO")
    difference = compare(before, Side(outcomes=(asked, not_asked)))
    document = json.loads(render("json", replace(result(asked, not_asked), difference=difference)))
    assert violations(document) == []
    assert [item.get("cause") for item in document["outcomes"]] == [None, "schema.a"]
    assert document["difference"]["counts"]["new"] == 2
    assert document["difference"]["changes"][0] == {
        "id": "schema.a",
        "change": "new",
        "before": "pass",
        "now": "error",
        "reason": "nothing listens there",
    }


def test_it_holds_every_outcome_and_the_verdict_in_a_fixed_order() -> None:
    text = render("json", result(*MIXED))
    document = json.loads(text)
    assert text == render("json", result(*MIXED[::-1]))
    assert [item["id"] for item in document["outcomes"]] == sorted(outcome.id for outcome in MIXED)
    assert document["verdict"]["decision"] == "NO-GO"
    assert document["counts"] == {"pass": 1, "skip": 1, "warn": 1, "inconclusive": 1, "error": 1, "fail": 1}


def test_any_text_survives_and_the_file_is_ascii() -> None:
    text = render("json", result(*MIXED))
    assert text.isascii()
    reasons = {item["id"]: item["reason"] for item in json.loads(text)["outcomes"]}
    assert reasons["config.environment"] == HOSTILE
