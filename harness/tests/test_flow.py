"""The flow that is observed passes the gate's flow checks, and every bug that their saboteurs plant turns them red, for real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gate.facts.flow import FlowObservations
from gate.model import Status
from gate.registry import Item, Kind, registry
from gate.runner import Facts, run
from harness.datastores import open_database
from harness.flow import observe
from harness.reference import start
from reference_impl import chaffs

FLOW_CHECKS = [item for item in registry(Kind.CHECK).load("gate.checks") if "flow" in item.facts]


class _Plant:
    """The world of a flow saboteur: remembers the bug to plant."""

    chaff = ""

    def plant(self, chaff: str) -> None:
        self.chaff = chaff


def observed(workdir: Path, chaff: str = "") -> FlowObservations:
    with (
        open_database("memory") as database,
        start(database=database, workdir=workdir) as system,
        system.current(chaff=chaff) as target,
    ):
        return observe(target, system.pace, system.evolution)


def test_the_reference_passes_every_check_of_the_flow(tmp_path: Path) -> None:
    flow = observed(tmp_path)
    outcomes = run(FLOW_CHECKS, Facts({"flow": lambda: flow}))
    assert [(outcome.id, outcome.status) for outcome in outcomes] == [(item.id, Status.PASS) for item in FLOW_CHECKS]


SABOTEURS = [(item, saboteur.function) for item in FLOW_CHECKS for saboteur in item.saboteurs]


@pytest.mark.parametrize(("item", "saboteur"), SABOTEURS, ids=[f"{item.id}: {function.__name__}" for item, function in SABOTEURS])
def test_a_bug_that_is_planted_in_the_running_backend_turns_its_check_red(
    item: Item, saboteur: Callable[[_Plant], None], tmp_path: Path
) -> None:
    world = _Plant()
    saboteur(world)
    assert world.chaff in chaffs.names()
    flow = observed(tmp_path, world.chaff)
    (outcome,) = run([item], Facts({"flow": lambda: flow}))
    assert outcome.status is Status.FAIL, outcome.reason
