"""A proof counts what was killed, and hides no survivor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gate.errors import Failure, GateError, NotApplicable
from gate.facts.environment import Environment
from gate.facts.flow import FlowObservations
from gate.facts.worlds import Deployment, PlantedFlow
from gate.model import Evidence
from gate.registry import Item, Kind, registry
from harness.proof.checks import SOUND, End, Trial, prove


def check(
    identifier: str, run: Callable[..., Any], *saboteurs: Callable[..., Any], facts: tuple[str, ...] = ("environment",)
) -> Item:
    item = replace(
        registry(Kind.CHECK).load("gate.checks").get("config.environment"), id=identifier, function=run, facts=facts, saboteurs=[]
    )
    for saboteur in saboteurs:
        item.breaks(saboteur)
    return item


def production_only(environment: Environment) -> Iterator[Evidence]:
    if environment.get("APP_ENV") != "production":
        raise Failure(f"APP_ENV is {environment.get('APP_ENV')!r}")
    yield Evidence(label="environment", value="production")


def staging(deployment: Deployment) -> None:
    deployment.values["APP_ENV"] = "staging"


def nothing(deployment: Deployment) -> None:
    deployment.values.update({})


def not_here(deployment: Deployment) -> None:
    raise NotApplicable("there is nothing to break here")


def out_of_reach(deployment: Deployment) -> None:
    raise GateError("the world could not be made")


def ends(trials: list[Trial]) -> dict[str, End]:
    return {trial.saboteur: trial.end for trial in trials}


def test_a_check_that_turns_red_is_proven_and_one_that_stays_green_survives(tmp_path: Path) -> None:
    item = check("config.sample", production_only, staging, nothing, not_here, out_of_reach)
    heard: list[Trial] = []
    trials = prove([item], database="memory", workdir=tmp_path, on_trial=heard.append)
    assert ends(trials) == {
        SOUND: End.PASSED,
        "staging": End.KILLED,
        "nothing": End.SURVIVED,
        "not here": End.DOES_NOT_APPLY,
        "out of reach": End.ERROR,
    }
    assert heard == trials
    assert {trial.saboteur: trial.proves for trial in trials}["nothing"] is False
    assert next(trial.reason for trial in trials if trial.saboteur == "staging") == "APP_ENV is 'staging'"


def test_a_check_that_is_red_when_nothing_is_broken_kills_nothing(tmp_path: Path) -> None:
    def never(environment: Environment) -> Iterator[Evidence]:
        raise Failure("always")

    (sound, _) = prove([check("config.never", never, staging)], database="memory", workdir=tmp_path)
    assert (sound.end, sound.proves) == (End.RED_WHEN_SOUND, False)


def test_a_check_without_a_saboteur_is_named(tmp_path: Path) -> None:
    trials = prove([check("config.lonely", production_only)], database="memory", workdir=tmp_path)
    assert [(trial.end, trial.proves) for trial in trials] == [(End.PASSED, True), (End.NO_SABOTEUR, False)]


def test_a_bug_that_is_planted_in_the_backend_is_observed_there(tmp_path: Path) -> None:
    def one_instance(flow: FlowObservations) -> Iterator[Evidence]:
        if set(flow.instances) != {f"unit_{flow.unit_id}"}:
            raise Failure("another instance")
        yield Evidence(label="instances", value=len(flow.instances))

    def planted(flow: PlantedFlow) -> None:
        flow.plant("instance-name-from-caller")

    trials = prove([check("flow.sample", one_instance, planted, facts=("flow",))], database="memory", workdir=tmp_path)
    assert ends(trials) == {SOUND: End.PASSED, "planted": End.KILLED}


@pytest.mark.postgres
def test_the_shipped_checks_of_a_table_are_proven_on_postgres(tmp_path: Path, postgres_url: str) -> None:
    items = [
        item for item in registry(Kind.CHECK).load("gate.checks") if item.id in {"schema.idempotency-index", "schema.not-empty"}
    ]
    trials = prove(items, database=postgres_url, workdir=tmp_path)
    assert {trial.end for trial in trials} == {End.PASSED, End.KILLED}
    assert len(trials) == len(items) + sum(len(item.saboteurs) for item in items)


def test_a_check_that_is_red_for_another_reason_is_not_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stated = {"config.sample": {"staging": ("the deployment is not production",)}}
    monkeypatch.setattr("harness.proof.checks.stated_reasons", lambda: stated)
    (_, trial) = prove([check("config.sample", production_only, staging)], database="memory", workdir=tmp_path)
    assert (trial.end, trial.proves) == (End.OTHER_REASON, False)
    assert "expected it to say 'the deployment is not production'" in trial.reason


@pytest.mark.postgres
def test_what_a_saboteur_did_in_a_transaction_is_not_there_for_the_next(tmp_path: Path, postgres_url: str) -> None:
    item = next(item for item in registry(Kind.CHECK).load("gate.checks") if item.id == "schema.messages-retry-count")
    trials = prove([item, item], database=postgres_url, workdir=tmp_path)
    assert [trial.end for trial in trials] == [End.PASSED] * 2 + [End.KILLED] * (2 * len(item.saboteurs))
