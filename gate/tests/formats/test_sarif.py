"""The SARIF is what version 2.1.0 allows, and tells suppressions and what changed in the words of that standard.

The standard's own schema comes in no package for Python, so two things stand for it: the rules in `sarif_rules.schema.json`,
written from the standard's text and closed (what they do not name is refused), and `sarif_om`, the object model that was
generated from the standard's schema: every property that is written must be one of its class there, and every one that it
requires must be.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from importlib import resources
from typing import Any

import attr
import pytest
import sarif_om
from jsonschema import Draft202012Validator

from gate.difference import Side, compare
from gate.formats import render
from gate.judge import judge
from gate.model import Outcome, Status
from gate.policy import Policy, Waiver
from gate.result import Result
from gate.tests.outcomes import MIXED, outcome, result

RULES = Draft202012Validator(
    json.loads(resources.files("gate.tests.formats").joinpath("sarif_rules.schema.json").read_text(encoding="utf-8"))
)
TODAY = date(2026, 1, 22)
# Which class each property's value is of; a list has one class for its members.
CLASSES: dict[tuple[str, str], str] = {
    ("SarifLog", "runs"): "Run",
    ("Run", "tool"): "Tool",
    ("Run", "invocations"): "Invocation",
    ("Run", "results"): "Result",
    ("Tool", "driver"): "ToolComponent",
    ("ToolComponent", "rules"): "ReportingDescriptor",
    ("ReportingDescriptor", "shortDescription"): "MultiformatMessageString",
    ("ReportingDescriptor", "fullDescription"): "MultiformatMessageString",
    ("ReportingDescriptor", "help"): "MultiformatMessageString",
    ("ReportingDescriptor", "defaultConfiguration"): "ReportingConfiguration",
    ("Invocation", "toolExecutionNotifications"): "Notification",
    ("Notification", "descriptor"): "ReportingDescriptorReference",
    ("Notification", "message"): "Message",
    ("Result", "message"): "Message",
    ("Result", "locations"): "Location",
    ("Result", "suppressions"): "Suppression",
    ("Location", "physicalLocation"): "PhysicalLocation",
    ("Location", "logicalLocations"): "LogicalLocation",
    ("PhysicalLocation", "artifactLocation"): "ArtifactLocation",
    ("PhysicalLocation", "region"): "Region",
}
FREE = {"properties", "partialFingerprints"}
# The model was generated from a draft, which called it `state`; the standard as it was published says `status`.
RENAMED = {("Suppression", "state"): "status"}


def strangers(value: dict[str, Any], name: str = "SarifLog", where: str = "$") -> list[str]:
    """What the standard's object model does not know, or misses."""
    fields = {
        RENAMED.get((name, field.metadata["schema_property_name"]), field.metadata["schema_property_name"]): field.default
        is attr.NOTHING
        for field in attr.fields(getattr(sarif_om, name))
    }
    found = [f"{where} lacks {field}" for field, required in fields.items() if required and field not in value]
    for key, item in value.items():
        if key not in fields:
            found.append(f"{where} must not have {key}")
        elif isinstance(item, dict | list) and key not in FREE:
            for number, member in enumerate(item if isinstance(item, list) else [item]):
                found += strangers(member, CLASSES[name, key], f"{where}.{key}[{number}]")
    return found


def faults(text: str) -> list[str]:
    document = json.loads(text)
    return [f"{error.json_path}: {error.message}" for error in RULES.iter_errors(document)] + strangers(document)


def run_of(text: str) -> dict[str, Any]:
    assert faults(text) == []
    found: dict[str, Any] = json.loads(text)["runs"][0]
    return found


def waived(*outcomes: Outcome) -> Result:
    waiver = Waiver(id="schema.b", owner="Ana", reason="the index is rebuilt on Monday", ticket="T-1", expires=TODAY)
    policy = Policy(name="p", may_skip=("schema.c",), advisory=("load.*",), waivers=(waiver,))
    return Result(outcomes=outcomes, verdict=judge(outcomes, policy, TODAY))


def test_it_is_what_the_standard_allows() -> None:
    for item in (result(), result(outcome("a.b")), result(*MIXED), waived(outcome("schema.a"), outcome("schema.b", Status.FAIL))):
        assert faults(render("sarif", item)) == []
        before = Side(outcomes=(outcome("schema.messages-retry-count"), outcome("schema.old", Status.FAIL)))
        assert faults(render("sarif", replace(item, difference=compare(before, Side(outcomes=item.outcomes))))) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: run["results"][0].update(level="fatal"),
        lambda run: run["results"][0].update(kind="open"),
        lambda run: run["results"][0].pop("message"),
        lambda run: run["results"][0].update(supressions=[]),
        lambda run: run["results"][1]["locations"][0]["physicalLocation"]["region"].update(startLine=0),
        lambda run: run["results"][1]["locations"][0]["physicalLocation"]["artifactLocation"].update(uri="a b"),
        lambda run: run["invocations"][0].pop("executionSuccessful"),
        lambda run: run["tool"]["driver"]["rules"][0].pop("id"),
        lambda run: run.update(columnKind="bytes"),
    ],
)
def test_a_difference_would_be_noticed(damage: Any) -> None:
    document = json.loads(render("sarif", result(*MIXED)))
    damage(document["runs"][0])
    assert faults(json.dumps(document))


def test_each_result_stands_for_an_id_that_did_not_pass_and_names_its_rule() -> None:
    run = run_of(render("sarif", result(*MIXED)))
    rules = run["tool"]["driver"]["rules"]
    assert [item["ruleId"] for item in run["results"]][:2] == ["golive.verdict", "schema.messages-retry-count"]
    assert {item["ruleId"] for item in run["results"]} == {"golive.verdict", *(item.id for item in MIXED)} - {
        "schema.messages-error-details"
    }
    assert all(rules[item["ruleIndex"]]["id"] == item["ruleId"] for item in run["results"])
    assert all(item["level"] == "error" for item in run["results"])
    assert run["invocations"][0]["exitCode"] == 1
    assert [item["descriptor"]["id"] for item in run["invocations"][0]["toolExecutionNotifications"]] == ["datastore.upsert"]


def test_a_run_that_could_not_look_was_not_successful() -> None:
    run = run_of(render("sarif", result(outcome("a.b"), outcome("a.c", Status.ERROR))))
    assert run["invocations"][0]["executionSuccessful"] is False
    assert run["properties"]["decision"] == "HOLD"
    assert run_of(render("sarif", result(outcome("a.b"))))["invocations"][0]["executionSuccessful"] is True


def test_a_waiver_is_an_accepted_suppression_that_bears_its_reason() -> None:
    run = run_of(
        render(
            "sarif",
            waived(
                outcome("schema.a"),
                outcome("schema.b", Status.FAIL),
                outcome("schema.c", Status.SKIP),
                outcome("load.x", Status.FAIL),
            ),
        )
    )
    found = {item["ruleId"]: item for item in run["results"]}
    assert found["schema.b"]["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "Ana until 2026-01-22, T-1: the index is rebuilt on Monday",
        }
    ]
    assert {name: (item["kind"], item["level"]) for name, item in found.items()} == {
        "schema.b": ("fail", "warning"),
        "schema.c": ("notApplicable", "none"),
        "load.x": ("fail", "note"),
    }
    assert [name for name, item in found.items() if "suppressions" in item] == ["schema.b"]


def test_with_a_baseline_every_result_has_its_state() -> None:
    before = (
        outcome("schema.same", Status.FAIL, "missing"),
        outcome("schema.other", Status.FAIL, "12 rows"),
        outcome("schema.fixed", Status.FAIL),
        outcome("schema.new"),
    )
    now = (
        outcome("schema.same", Status.FAIL, "missing"),
        outcome("schema.other", Status.FAIL, "13 rows"),
        outcome("schema.fixed"),
        outcome("schema.new", Status.FAIL),
    )
    difference = compare(Side(outcomes=before, name="run-1", decision="NO-GO"), Side(outcomes=now))
    run = run_of(render("sarif", replace(result(*now), difference=difference)))
    assert {item["ruleId"]: item["baselineState"] for item in run["results"]} == {
        "golive.verdict": "unchanged",
        "schema.same": "unchanged",
        "schema.other": "updated",
        "schema.new": "new",
        "schema.fixed": "absent",
    }
    assert next(item["kind"] for item in run["results"] if item["ruleId"] == "schema.fixed") == "pass"


def test_without_a_baseline_no_result_has_a_state() -> None:
    assert not any("baselineState" in item for item in run_of(render("sarif", result(*MIXED)))["results"])


def test_a_finding_is_found_again_when_only_its_words_change() -> None:
    first, second = (
        run_of(render("sarif", result(outcome("load.p95", Status.FAIL, f"{number} ms"))))["results"][1] for number in (7, 9)
    )
    assert first["partialFingerprints"] == second["partialFingerprints"]
