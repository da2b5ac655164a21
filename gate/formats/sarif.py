"""SARIF 2.1.0 for code scanning: a result for each id that did not plainly pass, with suppressions and baseline states.

What stops the release is of kind `fail` and level `error`. What a named person answers for is a `warning` with an accepted
suppression, which bears the waiver. What is only noted is a `note`. Passes are no results – code scanning would show them as
alerts –, they are counted in the run's properties. With a baseline, what is clean now and was not is a result of state `absent`,
of kind `pass`. The decision and its exit status are those of the run's invocation; a run that could not look was not successful.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from gate.difference import Change, Delta
from gate.model import Decision, Severity, Status
from gate.result import DECIDES, Answer, Result, Standing, documentation_of
from gate.text import as_json, printable, shortened

__all__ = ["SCHEMA_URI", "VERDICT_RULE", "render"]

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
VERDICT_RULE = "golive.verdict"
FINGERPRINT = "golive/v1"
_LONGEST = 8_000
# Code scanning wants a place for each result; where an answer names none, it is about the release as a whole.
_NO_PLACE = "golive.toml"
# As code scanning reads them: critical from 9.0, high from 7.0, medium from 4.0.
_SECURITY = {Severity.CRITICAL: "9.0", Severity.MAJOR: "7.0", Severity.MINOR: "4.0"}


def render(result: Result) -> str:
    """One JSON object and a line end; results in the order of `Result.answers`."""
    answers = [answer for answer in result.answers() if answer.standing is not Standing.PASSED]
    verdict = result.verdict
    rules: dict[str, dict[str, Any]] = {}
    results = []
    if verdict.decision is not Decision.GO:
        results.append(_verdict_result(result, rules))
    results += [_result(answer, result, rules) for answer in answers]
    results += [_absent(delta, rules) for delta in _gone(result, {answer.id for answer in answers})]
    run: dict[str, Any] = {
        "tool": {"driver": _driver(rules)},
        "invocations": [
            {
                "executionSuccessful": verdict.decision is not Decision.HOLD,
                "exitCode": verdict.exit_status,
                "exitCodeDescription": f"{verdict.decision}: {DECIDES[verdict.decision]}",
                "toolExecutionNotifications": [
                    {
                        "descriptor": {"id": answer.id},
                        "level": "error",
                        "message": {"text": _text(answer.why)},
                    }
                    for answer in answers
                    if answer.standing.stops and (answer.outcome is None or answer.outcome.status is Status.ERROR)
                ],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {
            "decision": str(verdict.decision),
            "exitStatus": verdict.exit_status,
            "policy": verdict.policy,
            "passed": verdict.passed,
            "answered": verdict.answered,
            "release": {str(key): value for key, value in result.release.items()},
        },
    }
    if result.difference is not None:
        run["properties"]["baseline"] = {"against": result.difference.against, "counts": result.difference.counts}
    return as_json({"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _driver(rules: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    try:
        version = {"version": importlib.metadata.version("golive")}
    except importlib.metadata.PackageNotFoundError:
        version = {}
    return {"name": "golive", **version, "rules": list(rules.values())}


def _verdict_result(result: Result, rules: dict[str, dict[str, Any]]) -> dict[str, Any]:
    decision = result.verdict.decision
    rules[VERDICT_RULE] = {
        "id": VERDICT_RULE,
        "shortDescription": {"text": "The release gate says GO"},
        "help": {"text": "Each other result of this run says what stands in the way."},
        "defaultConfiguration": {"level": "error"},
    }
    found: dict[str, Any] = {
        "ruleId": VERDICT_RULE,
        "ruleIndex": 0,
        "kind": "fail",
        "level": "error",
        "message": {"text": _text(result.headline())},
        "locations": [_location(VERDICT_RULE, _NO_PLACE, 1)],
        "partialFingerprints": {FINGERPRINT: f"verdict-{decision}"},
    }
    if result.difference is not None:
        found["baselineState"] = "unchanged" if result.difference.against_decision == decision else "new"
    return found


def _result(answer: Answer, result: Result, rules: dict[str, dict[str, Any]]) -> dict[str, Any]:
    place = answer.place
    found: dict[str, Any] = {
        "ruleId": answer.id,
        "ruleIndex": _rule(rules, answer.id, title=answer.title, severity=answer.severity),
        **_kind(answer),
        "message": {"text": _text(answer.why)},
        "locations": [_location(answer.id, place.path if place else _NO_PLACE, place.line if place else 1)],
        "partialFingerprints": {FINGERPRINT: answer.fingerprint},
        "properties": {
            "standing": str(answer.standing),
            "severity": str(answer.severity),
            **({"status": str(answer.outcome.status)} if answer.outcome else {}),
            **({"evidence": [str(item) for item in answer.outcome.evidence]} if answer.outcome else {}),
            **({"change": str(answer.delta.change)} if answer.delta else {}),
        },
    }
    if answer.standing is Standing.WAIVED:
        found["suppressions"] = [
            {
                "kind": "external",
                "status": "accepted",
                "justification": _text(answer.why.partition(" – waived by ")[2] or answer.why),
            }
        ]
    if result.difference is not None:
        found["baselineState"] = _state(answer.delta)
    return found


def _kind(answer: Answer) -> dict[str, str]:
    if answer.standing.stops:
        return {"kind": "fail", "level": "error"}
    if answer.standing is Standing.WAIVED:
        # Readers that know no suppressions must not make of it what would stop the release.
        return {"kind": "fail", "level": "warning"}
    if answer.outcome is not None and answer.outcome.status is Status.SKIP:
        # A level other than none is for kind fail alone.
        return {"kind": "notApplicable", "level": "none"}
    return {"kind": "fail", "level": "note"}


def _state(delta: Delta | None) -> str:
    if delta is None:
        return "unchanged"
    if delta.change is Change.STILL:
        return "unchanged" if delta.same_reason and delta.before is delta.now else "updated"
    return "new"


def _gone(result: Result, shown: set[str]) -> list[Delta]:
    deltas = result.difference.deltas if result.difference else ()
    return [delta for delta in deltas if delta.id not in shown and delta.change in (Change.FIXED, Change.FLAKY)]


def _absent(delta: Delta, rules: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "ruleId": delta.id,
        "ruleIndex": _rule(rules, delta.id, title="", severity=Severity.MAJOR),
        "kind": "pass",
        "level": "none",
        "message": {"text": _text(f"{delta.change}: {delta.before or 'not asked'} before, {delta.now or 'not asked'} now")},
        "locations": [_location(delta.id, _NO_PLACE, 1)],
        "baselineState": "absent",
    }


def _rule(rules: dict[str, dict[str, Any]], item: str, *, title: str, severity: Severity) -> int:
    if item in rules:
        return list(rules).index(item)
    documentation = documentation_of(item)
    rules[item] = {
        "id": item,
        "shortDescription": {"text": _text(title) or item},
        "fullDescription": {"text": _text(documentation.get("Why", "")) or _text(title) or item},
        "help": {"text": _text(documentation.get("Fix", "")) or f"see `golive gate explain {item}`"},
        "defaultConfiguration": {"level": "error"},
        "properties": {
            "tags": [item.partition(".")[0]],
            **({"security-severity": _SECURITY[severity]} if item.startswith(("secrets.", "dependencies.")) else {}),
        },
    }
    return len(rules) - 1


def _location(item: str, path: str, line: int) -> dict[str, Any]:
    return {
        "physicalLocation": {"artifactLocation": {"uri": quote(path)}, "region": {"startLine": line}},
        "logicalLocations": [{"fullyQualifiedName": item, "name": item.rpartition(".")[2] or item}],
    }


def _text(text: str) -> str:
    return shortened(printable(text), _LONGEST)
