"""The outcome that follows from what was recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.exchanges import Exchange
from features.recording import NOT_RUN, PASSED, Recording, StepRecord
from gate.model import Severity, Status
from harness.scenarios import PlannedScenario


def _scenario(*tags: str) -> PlannedScenario:
    return PlannedScenario(
        name="It works",
        path=Path("some.feature"),
        line=3,
        slugs=("it-works",),
        row=0,
        tags=frozenset({"@id:it-works", *tags}),
        step_types=("Context", "Outcome"),
    )


def _recording(*kinds: str, status: str = PASSED) -> Recording:
    steps = [StepRecord(keyword=kind.title(), kind=kind, text=f"{kind} it", status=status) for kind in kinds]
    return Recording(scenario=_scenario("@critical"), steps=steps, started=len(steps))


def _unmasked(text: str) -> str:
    return text


def test_steps_a_then_and_evidence_make_a_pass() -> None:
    recording = _recording("given", "then")
    recording.observe("sends", 1)
    outcome = recording.conclude(_unmasked)
    assert (outcome.id, outcome.status, outcome.severity) == ("scenario.it-works", Status.PASS, Severity.CRITICAL)


def test_no_step_at_all_is_never_a_pass() -> None:
    recording = _recording()
    recording.observe("sends", 1)
    assert recording.conclude(_unmasked).status is Status.ERROR


def test_a_step_that_did_not_run_is_never_a_pass() -> None:
    recording = _recording("given", "then", status=NOT_RUN)
    recording.observe("sends", 1)
    outcome = recording.conclude(_unmasked)
    assert outcome.status is Status.ERROR
    assert outcome.reason == "2 of 2 steps did not run"


def test_without_a_then_nothing_was_verified() -> None:
    recording = _recording("given", "when")
    recording.observe("sends", 1)
    outcome = recording.conclude(_unmasked)
    assert outcome.status is Status.ERROR
    assert "no Then" in outcome.reason


def test_what_broke_first_is_the_reason_and_the_step_is_named() -> None:
    recording = _recording("given", "then")
    recording.errors += [("call", AssertionError("expected 1, saw 2")), ("teardown", RuntimeError("later"))]
    outcome = recording.conclude(_unmasked)
    assert outcome.status is Status.FAIL
    assert outcome.reason == "Then then it: expected 1, saw 2"


@pytest.mark.parametrize("step", [0, 1])
def test_the_last_request_before_the_failure_is_named_where_the_error_names_none(step: int) -> None:
    recording = _recording("given", "then")
    recording.steps[step].tape.take(Exchange(kind="request", what="GET /contacts", status=200, request_id="r-7"))
    recording.errors.append(("call", AssertionError("expected 1, saw 2")))
    assert recording.conclude(_unmasked).reason == "Then then it: expected 1, saw 2 (last request r-7)"
    recording.errors[0] = ("call", AssertionError("expected 1, saw 2 (request r-6)"))
    assert recording.conclude(_unmasked).reason == "Then then it: expected 1, saw 2 (request r-6)"


def test_reason_and_evidence_are_masked() -> None:
    recording = _recording("given", "then")
    recording.observe("token", "abc-secret")
    recording.errors.append(("call", AssertionError("saw abc-secret")))
    outcome = recording.conclude(lambda text: text.replace("abc-secret", "[MASKED]"))
    assert "abc-secret" not in str(outcome.as_json())


@pytest.mark.parametrize("error", [KeyError("id"), TypeError("NoneType")])
def test_a_step_that_breaks_by_itself_is_an_error_and_no_failure(error: Exception) -> None:
    recording = _recording("given", "then")
    recording.errors.append(("call", error))
    outcome = recording.conclude(_unmasked)
    assert outcome.status is Status.ERROR
    assert type(error).__name__ in outcome.reason
