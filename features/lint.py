"""What is wrong with feature files before anything runs: a scenario that could not fail, or that nobody would miss."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from gate.model import is_outcome_id
from harness.scenarios import ID_TAG, PlannedScenario

__all__ = ["faults", "unbound"]


def faults(scenarios: Sequence[PlannedScenario]) -> list[str]:
    """One line for each fault: where, what, what to do. Empty when every scenario is sound."""
    return [*_each(scenarios), *_twice(scenarios)]


def unbound(files: Iterable[Path], bound: Iterable[Path]) -> list[Path]:
    """The feature files that no test executes, sorted: their scenarios would never be missed."""
    return sorted({path.resolve() for path in files} - {path.resolve() for path in bound})


def _each(scenarios: Sequence[PlannedScenario]) -> list[str]:
    found = []
    for scenario in scenarios:
        where = f"{scenario.place}: scenario {scenario.name!r}"
        if len(scenario.slugs) != 1:
            found.append(f"{where} has {len(scenario.slugs)} {ID_TAG} tags; give it one, {ID_TAG}some-words")
        elif not is_outcome_id(scenario.id):
            found.append(f"{where}: {ID_TAG}{scenario.slugs[0]} is no id; use lower-case words joined by dashes")
        if not scenario.name.strip():
            found.append(f"{where} has no name")
        if "Outcome" not in scenario.step_types:
            found.append(f"{where} has no Then: it cannot fail")
    return found


def _twice(scenarios: Sequence[PlannedScenario]) -> list[str]:
    ids: dict[str, list[PlannedScenario]] = defaultdict(list)
    names: dict[tuple[Path, str], list[PlannedScenario]] = defaultdict(list)
    for scenario in scenarios:
        if scenario.id:
            ids[scenario.id].append(scenario)
        if scenario.row <= 1:
            names[scenario.path, scenario.name].append(scenario)
    found = [
        f"{holders[1].place}: {item} is also the id of {holders[0].place}; ids name one scenario"
        for item, holders in ids.items()
        if len(holders) > 1
    ]
    # pytest-bdd finds a scenario by its name: of two with one name in a file the first would never run.
    found += [
        f"{holders[1].place}: the name {name!r} is also that of {holders[0].place}; names are unique in a file"
        for (_, name), holders in names.items()
        if len(holders) > 1
    ]
    return found
