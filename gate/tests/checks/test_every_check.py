"""Every check of the gate, for whoever adds one: it passes on a sound world, and each of its saboteurs turns it red."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gate.errors import NotApplicable
from gate.facts.sabotage import answer, sabotaged, stated_reasons
from gate.facts.subject import Subject
from gate.model import Status
from gate.registry import Item, Kind, Registry, Saboteur, registry
from gate.tests.worlds.subjects import AlteredFlow

REASONS = stated_reasons()
CHECKS = list(registry(Kind.CHECK).load("gate.checks"))
SEED = [
    "schema.connections-status-reason",
    "schema.connections-connected-at",
    "schema.connections-disconnected-at",
    "schema.connections-qr-updated-at",
    "schema.messages-client-message-id",
    "schema.messages-retry-count",
    "schema.messages-last-retry-at",
    "schema.messages-error-details",
    "schema.campaigns",
    "schema.campaign-recipients",
    "datastore.embedded-detected",
    "datastore.upsert",
    "datastore.basic-queries",
    "imports.webhook-route",
    "imports.messages-route",
    "imports.message-handler",
    "imports.webhook-helper",
    "imports.campaign-service",
    "imports.evolution-provider",
    "flow.instance-name",
    "flow.scan-updates-status",
    "flow.retry-stops-at-three",
    "flow.campaign-paced",
]

MIGRATED = {"migration", "rehearsed", "convoy", "old_statements", "metadata_comparison"}
NEEDS_A_DATABASE = {"catalog", "datastore", *MIGRATED}


def _both_databases(item: Item, *more: object, name: str) -> list[object]:
    """One test for each database; one alone for what no database has a part in."""
    found: list[object] = [pytest.param(item, *more, "sqlite", id=f"{name}-sqlite")]
    if more and MIGRATED & set(item.facts):
        # The migration is SQL for Postgres; what a check says of that elsewhere is asked once.
        found = []
    if NEEDS_A_DATABASE & set(item.facts):
        found.append(pytest.param(item, *more, "postgres", id=f"{name}-postgres", marks=pytest.mark.postgres))
    return found


@pytest.mark.parametrize(("item", "backend"), [case for item in CHECKS for case in _both_databases(item, name=item.id)])
def test_it_passes_on_a_sound_world(item: Item, backend: str, sample: Callable[[str], Subject]) -> None:
    outcome = answer(item, sample(backend), flow=AlteredFlow().observe)
    if backend == "sqlite" and MIGRATED & set(item.facts):
        assert outcome.status is Status.SKIP
        assert "Postgres" in outcome.reason
    else:
        assert (outcome.status, outcome.reason) == (Status.PASS, "")


@pytest.mark.parametrize(
    ("item", "saboteur", "backend"),
    [
        case
        for item in CHECKS
        for saboteur in item.saboteurs
        for case in _both_databases(item, saboteur, name=f"{item.id}-{saboteur.name}")
    ],
)
def test_its_saboteur_turns_it_red(item: Item, saboteur: Saboteur, backend: str, sample: Callable[[str], Subject]) -> None:
    planted = AlteredFlow()
    try:
        outcome = sabotaged(item, saboteur, sample(backend), flow=(planted, planted.observe))
    except NotApplicable as nothing_to_break:
        pytest.skip(str(nothing_to_break))
    assert outcome.status is Status.FAIL, outcome
    assert any(said in outcome.reason for said in REASONS[item.id][saboteur.name]), outcome.reason


@pytest.mark.parametrize("item", CHECKS, ids=lambda item: item.id)
def test_it_is_documented_and_has_a_saboteur(item: Item) -> None:
    assert item.title.endswith(".")
    assert item.paragraphs["Why"]
    assert item.paragraphs["Fix"]
    assert item.saboteurs


def test_the_seed_s_23_checks_are_tagged_and_in_their_order(checks: Registry) -> None:
    assert [item.id for item in checks.select(["@seed"])] == SEED
    assert len(SEED) == 23


def test_no_reason_is_written_for_a_saboteur_that_is_gone() -> None:
    assert {item.id: {saboteur.name for saboteur in item.saboteurs} for item in CHECKS} == {
        item: set(reasons) for item, reasons in REASONS.items()
    }
