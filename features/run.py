"""One run of scenarios against a target, as a plugin of pytest: what was planned, what was selected, and what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from features.recording import Recording, StepRecord, from_json
from features.secrecy import Secrecy
from gate.journal import Journal
from gate.masking import Masker
from gate.model import Outcome, Status
from harness.scenarios import PlannedScenario, scenario_id
from harness.target import Target

__all__ = ["ScenarioRun", "worker_number"]

STEPS_FACT = "scenario.steps"
HOURS_TAG = "@lets-hours-pass"

_OUTCOME = "golive.outcome"
_TAGS = "__golive_tags__"
_EXAMPLE = "_pytest_bdd_example"


class ScenarioRun:
    """One run of scenarios: what was planned, what was bound, and what became of each.

    `worker` is 0 in a single process, and `shared` says that other workers have the same target.
    """

    def __init__(
        self,
        *,
        target: Target,
        planned: list[PlannedScenario],
        selected: list[PlannedScenario],
        journal: Path | None,
        worker: int,
        shared: bool,
        folder: Path,
        messages: Path | None,
    ) -> None:

        secrets = tuple(filter(None, (target.admin_password, target.control_token, target.metrics_token, target.signing_key)))
        self.target = target
        self.worker = worker
        self.shared = shared
        self.secrecy = Secrecy(secrets)
        self._planned = {scenario.id: scenario for scenario in planned}
        self._selected = {scenario.id for scenario in selected}
        self._journal = Journal(journal, masker=Masker(secrets)) if journal is not None else None
        self._steps: dict[str, list[dict[str, Any]]] = {}
        self._outcomes: list[Outcome] = []
        self._recordings: dict[pytest.Item, Recording] = {}
        self._running: Recording | None = None
        self._messages = messages
        self._folder = folder
        self._step_began = 0.0

    def witness(self, exchange: Any) -> None:
        """Puts down what went over the wire with the step that runs now."""
        if self._running is not None and self._running.started:
            self._running.current.tape.take(exchange)

    def recording(self, item: pytest.Item) -> Any:
        """The recording of a scenario's item. Raises KeyError for any other item."""
        return self._recordings[item]

    def pytest_bdd_apply_tag(self, tag: str, function: Callable[..., object]) -> bool:
        # Tags select scenarios here and are no marks of pytest: marks would have to be registered one by one.
        tags: set[str] = function.__dict__.setdefault(_TAGS, set())
        tags.add(f"@{tag}")
        return True

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:

        kept = []
        for item in items:
            scenario = self._scenario_of(item)
            if scenario is None:
                kept.append(item)
            elif scenario.id in self._selected:
                self._recordings[item] = Recording(scenario=scenario)
                kept.append(item)
        if not self._recordings:
            raise pytest.UsageError("no scenario is selected: nothing would be looked at")
        items[0].config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        # Hours pass quickly while few units are connected: each of them is polled all the while.
        items[:] = sorted(
            kept, key=lambda item: item not in self._recordings or HOURS_TAG not in self._recordings[item].scenario.tags
        )

    def pytest_bdd_before_scenario(self, request: pytest.FixtureRequest, scenario: Any) -> None:

        self._running = self._recordings[request.node]
        self._running.steps = [
            StepRecord(keyword=step.keyword.strip(), kind=step.type, text=step.name) for step in scenario.steps
        ]

    def pytest_bdd_before_step(self, request: pytest.FixtureRequest) -> None:
        self._recordings[request.node].started += 1
        self._step_began = time.perf_counter()

    def pytest_bdd_after_step(self, request: pytest.FixtureRequest) -> None:
        self._end_step(request, "passed")

    def pytest_bdd_step_error(self, request: pytest.FixtureRequest) -> None:
        self._end_step(request, "failed")

    def pytest_bdd_step_func_lookup_error(self, request: pytest.FixtureRequest) -> None:
        self.pytest_bdd_before_step(request)
        self._end_step(request, "failed")

    def _end_step(self, request: pytest.FixtureRequest, status: str) -> None:
        step = self._recordings[request.node].current
        step.status, step.duration_s = status, time.perf_counter() - self._step_began

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        recording = self._recordings.get(item)
        if recording is None:
            return report
        recording.duration_s += call.duration
        if call.excinfo is not None:
            recording.errors.append((call.when, call.excinfo.value))
        report.sections = [(name, self.secrecy.text(content)) for name, content in report.sections]
        if call.when == "teardown":
            outcome = recording.conclude(self.secrecy.text)
            self._running = None
            steps = [step.as_json(self.secrecy) for step in recording.steps]
            report.user_properties.append((_OUTCOME, {"outcome": outcome.as_json(), "steps": steps}))
            if outcome.status is not Status.PASS and not recording.errors:
                report.outcome, report.longrepr = "failed", f"{outcome.id}: {outcome.status}: {outcome.reason}"
        elif report.failed:
            report.longrepr = self.secrecy.text(report.longreprtext)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:

        for name, value in report.user_properties:
            if name == _OUTCOME and report.when == "teardown" and self._journal is not None and isinstance(value, dict):
                outcome, steps = from_json(value)
                self._journal.append(outcome)
                self._steps[outcome.id] = steps
                self._outcomes.append(outcome)

    def pytest_sessionfinish(self) -> None:
        if self._journal is not None and self._steps:
            self._journal.fact(STEPS_FACT, {name: [_in_brief(step) for step in steps] for name, steps in self._steps.items()})
        if self._messages is not None and self._outcomes:
            from features.lint import look
            from features.messages import write

            library = look([self._folder]).library
            write(self._messages, list(self._planned.values()), self._outcomes, self._steps, library)

    def _scenario_of(self, item: pytest.Item) -> PlannedScenario | None:
        tags: set[str] = getattr(getattr(item, "function", None), _TAGS, set())
        slugs = [tag.removeprefix("@id:") for tag in tags if tag.startswith("@id:")]
        if len(slugs) != 1:
            return None
        indices = getattr(getattr(item, "callspec", None), "indices", {})
        return self._planned.get(scenario_id(slugs[0], indices[_EXAMPLE] + 1 if _EXAMPLE in indices else 0))


def _in_brief(step: dict[str, Any]) -> dict[str, Any]:
    """A step as the journal keeps it: bodies only where the step failed; the messages keep all."""
    if step["status"] == "failed":
        return step
    return step | {
        "exchanges": [{name: item[name] for name in item if name not in ("sent", "seen")} for item in step["exchanges"]]
    }


def worker_number(config: pytest.Config) -> int:
    """0 in a single process, else the number of this xdist worker, from 1."""
    name = str(getattr(config, "workerinput", {}).get("workerid", ""))
    return int(name.removeprefix("gw")) + 1 if name else 0
