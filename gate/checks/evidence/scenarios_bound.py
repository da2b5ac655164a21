"""Every scenario that is written is run by some test.

Why: a feature file that nothing binds reads like a promise kept; and a suite that runs no test exits 0.
Fix: bind the file named in the reason (`scenarios(…)`), or take it away.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.facts.features import Features
from gate.facts.worlds import ScenarioFolder
from gate.model import Evidence
from gate.registry import check


@check(order=90)
def run(features: Features) -> Iterator[Evidence]:
    if not features.written:
        raise Failure(f"{features.files} feature files hold no scenario")
    if features.unbound:
        first = features.unbound[0]
        raise Failure(
            f"{len(features.unbound)} of {len(features.written)} scenarios are run by no test;"
            f" the first is {first.name!r} in {first.file}, line {first.line}"
        )
    yield Evidence(label="scenarios written", value=len(features.written))
    yield Evidence(label="tests collected", value=features.collected)


@run.breaks
def a_feature_that_nobody_runs(scenarios: ScenarioFolder) -> None:
    scenarios.write("nobody.feature", "Feature: nobody\n\n  Scenario: nobody ever runs this one\n    Given nothing\n")


@run.breaks
def no_scenario_left(scenarios: ScenarioFolder) -> None:
    scenarios.clear()
