"""A run of scenarios as Cucumber Messages: what the HTML report of Cucumber, its plugins and other people's tools read.

Made of what was recorded once the run is over, so that workers need not write to one file. Protocol: cucumber/messages.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

from features.expressions import Expression, parameter_types
from features.lint import Library
from features.sources import DefinedStep
from gate.model import Outcome, Status
from harness.scenarios import PlannedScenario

__all__ = ["build", "write"]

PROTOCOL = "34.2.0"
_STATUS = {"passed": "PASSED", "failed": "FAILED", "not run": "SKIPPED"}
_UNSEEN = frozenset({Status.INCONCLUSIVE, Status.SKIP})

Envelope = dict[str, Any]
_NewId = Callable[[], str]


def write(
    path: Path,
    planned: Sequence[PlannedScenario],
    outcomes: Sequence[Outcome],
    steps: Mapping[str, Sequence[Mapping[str, Any]]],
    library: Library,
) -> None:
    """Writes the messages, one a line, whole or not at all."""
    lines = [json.dumps(envelope, ensure_ascii=False) for envelope in build(planned, outcomes, steps, library)]
    partial = path.with_name(f".{path.name}.part")
    partial.write_text("\n".join([*lines, ""]), encoding="utf-8")
    partial.replace(path)


def build(
    planned: Sequence[PlannedScenario],
    outcomes: Sequence[Outcome],
    steps: Mapping[str, Sequence[Mapping[str, Any]]],
    library: Library,
) -> Iterator[Envelope]:
    """The messages of a run, in the order of the protocol.

    `steps` are the recorded steps by the scenario's id, as the fact `scenario.steps` holds them, with all their exchanges.
    """
    counter = itertools.count()

    def new_id() -> str:
        return str(next(counter))

    found = {outcome.id: outcome for outcome in outcomes}
    yield {"meta": _meta()}
    pickles: dict[str, Mapping[str, Any]] = {}
    ran = {scenario.path for scenario in planned if scenario.id in found}
    for path, group in itertools.groupby((item for item in planned if item.path in ran), key=lambda scenario: scenario.path):
        envelopes, of_file = _feature(path, new_id)
        yield from envelopes
        pickles |= {scenario.id: pickle for scenario, pickle in zip(group, of_file, strict=True)}
    used = [scenario for scenario in planned if scenario.id in found]
    definitions = {step: new_id() for step in _definitions((pickles[item.id] for item in used), library)}
    for name, pattern in parameter_types().items():
        yield {
            "parameterType": {
                "id": new_id(),
                "name": name,
                "regularExpressions": [pattern],
                "preferForRegularExpressionMatch": False,
                "useForSnippets": True,
            }
        }
    for step, identity in definitions.items():
        yield {
            "stepDefinition": {
                "id": identity,
                "pattern": {"source": step.text, "type": "CUCUMBER_EXPRESSION"},
                "sourceReference": {"uri": _uri(step.path), "location": {"line": step.line}},
            }
        }
    run, began = new_id(), min(map(_began, outcomes), default=datetime.now(UTC))
    yield {"testRunStarted": {"id": run, "timestamp": _timestamp(began)}}
    for scenario in used:
        yield from _case(pickles[scenario.id], found[scenario.id], steps.get(scenario.id, ()), definitions, run, new_id)
    ended = max((outcome.observed_at for outcome in outcomes), default=began)
    passed = all(outcome.status is Status.PASS for outcome in outcomes)
    yield {"testRunFinished": {"testRunStartedId": run, "timestamp": _timestamp(ended), "success": passed}}


def _case(
    pickle: Mapping[str, Any],
    outcome: Outcome,
    recorded: Sequence[Mapping[str, Any]],
    definitions: Mapping[DefinedStep, str],
    run: str,
    new_id: _NewId,
) -> Iterator[Envelope]:
    texts = [step["text"] for step in pickle["steps"]]
    test_steps = [_test_step(step, definitions, new_id) for step in pickle["steps"]]
    case, started = new_id(), new_id()
    yield {"testCase": {"id": case, "testRunStartedId": run, "pickleId": pickle["id"], "testSteps": test_steps}}
    now = _began(outcome)
    statuses = [str(recorded[number]["status"]) if number < len(recorded) else "not run" for number in range(len(texts))]
    if outcome.status is not Status.PASS and "failed" not in statuses:
        # What went wrong was no step's: before the first, after the last, or that nothing was shown. It must be seen at one.
        statuses[max(statuses.count("passed") - 1, 0)] = "failed"
    yield {"testCaseStarted": {"id": started, "testCaseId": case, "attempt": 0, "timestamp": _timestamp(now)}}
    for number in range(len(texts)):
        step: Mapping[str, Any] = recorded[number] if number < len(recorded) else {"status": "not run", "duration_s": 0.0}
        place = {"testCaseStartedId": started, "testStepId": test_steps[number]["id"]}
        yield {"testStepStarted": {**place, "timestamp": _timestamp(now)}}
        now += timedelta(seconds=float(step["duration_s"]))
        for exchange in step.get("exchanges", ()):
            yield {
                "attachment": {
                    **place,
                    "body": json.dumps(exchange, ensure_ascii=False),
                    "contentEncoding": "IDENTITY",
                    "mediaType": "application/json",
                    "timestamp": _timestamp(now),
                }
            }
        result = {"status": _STATUS[statuses[number]], "duration": _duration(float(step["duration_s"]))}
        if statuses[number] == "failed":
            # What was not seen is no failure of the backend: Cucumber's word for it is pending.
            result |= {"status": "PENDING" if outcome.status in _UNSEEN else "FAILED", "message": outcome.reason}
        yield {"testStepFinished": {**place, "testStepResult": result, "timestamp": _timestamp(now)}}
    yield {"testCaseFinished": {"testCaseStartedId": started, "timestamp": _timestamp(now), "willBeRetried": False}}


def _test_step(step: Mapping[str, Any], definitions: Mapping[DefinedStep, str], new_id: _NewId) -> Envelope:
    matching = [(found, identity) for found, identity in definitions.items() if found.matches(step["text"])]
    lists = []
    for found, _ in matching:
        arguments = Expression(found.text).compiled.match(step["text"]) or [] if found.is_expression else []
        lists.append({"stepMatchArguments": [_argument(argument) for argument in arguments]})
    return {
        "id": new_id(),
        "pickleStepId": step["id"],
        "stepDefinitionIds": [identity for _, identity in matching],
        "stepMatchArgumentsLists": lists,
    }


def _argument(argument: Any) -> Envelope:
    group = argument.group
    return {
        "parameterTypeName": argument.parameter_type.name,
        "group": {"children": [], "start": group.start, "value": group.value},
    }


def _definitions(pickles: Iterable[Mapping[str, Any]], library: Library) -> list[DefinedStep]:
    kinds = {"Context": "given", "Action": "when", "Outcome": "then"}
    found: dict[DefinedStep, None] = {}
    for pickle in pickles:
        for step in pickle["steps"]:
            for definition in library.find(step["text"]):
                if definition.kind in ("", kinds.get(step["type"], definition.kind)):
                    found[definition] = None
    return list(found)


def _feature(path: Path, new_id: _NewId) -> tuple[list[Envelope], list[Mapping[str, Any]]]:
    from gherkin.ast_builder import AstBuilder
    from gherkin.parser import Parser
    from gherkin.pickles.compiler import Compiler

    ids: Any = _Ids(new_id)
    text, uri = path.read_text(encoding="utf-8"), _uri(path)
    document: Any = {**Parser(AstBuilder(ids)).parse(text), "uri": uri}
    pickles: list[Any] = list(Compiler(ids).compile(document))
    source = {"uri": uri, "data": text, "mediaType": "text/x.cucumber.gherkin+plain"}
    return [{"source": source}, {"gherkinDocument": document}, *({"pickle": pickle} for pickle in pickles)], pickles


class _Ids:
    """The reader of Gherkin numbers what it finds; here all files and everything else share one sequence."""

    def __init__(self, new_id: _NewId) -> None:
        self.get_next_id = new_id


def _meta() -> Envelope:
    return {
        "protocolVersion": PROTOCOL,
        "implementation": {"name": "golive", **_version()},
        "runtime": {"name": platform.python_implementation(), "version": platform.python_version()},
        "os": {"name": platform.system(), "version": platform.release()},
        "cpu": {"name": platform.machine()},
    }


def _version() -> dict[str, str]:
    # In a checkout that was not installed nothing tells it, and the protocol can do without.
    try:
        return {"version": metadata.version("golive")}
    except metadata.PackageNotFoundError:
        return {}


def _uri(path: Path) -> str:
    """Relative to here, so that no name of a machine's folders gets into a report."""
    return Path(os.path.relpath(path)).as_posix()


def _began(outcome: Outcome) -> datetime:
    return outcome.observed_at - timedelta(seconds=outcome.duration_s)


def _timestamp(moment: datetime) -> dict[str, int]:
    return {"seconds": int(moment.timestamp()), "nanos": moment.microsecond * 1000}


def _duration(seconds: float) -> dict[str, int]:
    return {"seconds": int(seconds), "nanos": int(seconds % 1 * 1e9)}
