"""GitLab's report has the fields that GitLab reads, and a blocker unless the verdict is GO."""

from __future__ import annotations

import json
from datetime import date

from jsonschema import Draft202012Validator

from gate.formats import render
from gate.judge import judge
from gate.model import Status
from gate.policy import Policy, Waiver
from gate.result import Result
from gate.tests.outcomes import MIXED, outcome, result

# What GitLab's documentation requires of each entry of a code quality report.
ENTRY = {
    "type": "object",
    "required": ["description", "check_name", "fingerprint", "severity", "location"],
    "additionalProperties": False,
    "properties": {
        "description": {"type": "string", "minLength": 1},
        "check_name": {"type": "string", "minLength": 1},
        "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
        "location": {
            "type": "object",
            "required": ["path", "lines"],
            "additionalProperties": False,
            "properties": {
                # GitLab shows nothing for a path that begins with ./ or /.
                "path": {"type": "string", "pattern": "^[^./]"},
                "lines": {
                    "type": "object",
                    "required": ["begin"],
                    "additionalProperties": False,
                    "properties": {"begin": {"type": "integer", "minimum": 1}},
                },
            },
        },
    },
}
VALID = Draft202012Validator({"type": "array", "items": ENTRY})


def test_it_has_what_gitlab_reads_and_each_fingerprint_once() -> None:
    entries = json.loads(render("gitlab", result(*MIXED, outcome("secrets.tracked", Status.FAIL, "app/a.py:3 holds a key"))))
    assert list(VALID.iter_errors(entries)) == []
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)
    assert [(entry["check_name"], entry["severity"]) for entry in entries][:3] == [
        ("golive.verdict", "blocker"),
        ("schema.messages-retry-count", "major"),
        ("secrets.tracked", "major"),
    ]
    assert entries[2]["location"] == {"path": "app/a.py", "lines": {"begin": 3}}


def test_the_rules_would_notice_a_difference() -> None:
    entries = json.loads(render("gitlab", result(*MIXED)))
    entries[0]["severity"] = "fatal"
    del entries[1]["fingerprint"]
    entries[2]["location"]["path"] = "./a"
    assert len(list(VALID.iter_errors(entries))) == 3


def test_a_finding_keeps_its_fingerprint_when_only_its_words_change() -> None:
    first, second = (
        json.loads(render("gitlab", result(outcome("load.p95", Status.FAIL, f"{milliseconds} ms, expected at most 500"))))
        for milliseconds in (700, 900)
    )
    assert first[1]["description"] != second[1]["description"]
    assert first[1]["fingerprint"] == second[1]["fingerprint"]


def test_go_has_no_entry_but_what_is_waived_and_that_is_only_for_information() -> None:
    assert json.loads(render("gitlab", result(outcome("a.b")))) == []
    today = date(2026, 1, 22)
    waiver = Waiver(id="schema.b", owner="Ana", reason="known", ticket="T-1", expires=today)
    outcomes = (outcome("schema.a"), outcome("schema.b", Status.FAIL))
    verdict = judge(outcomes, Policy(name="p", waivers=(waiver,)), today)
    entries = json.loads(render("gitlab", Result(outcomes=outcomes, verdict=verdict)))
    assert [(entry["check_name"], entry["severity"]) for entry in entries] == [("schema.b", "info")]
