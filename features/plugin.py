"""The pytest plugin that runs the scenarios against a running backend.

    GOLIVE_ADMIN_EMAIL=… GOLIVE_ADMIN_PASSWORD=… pytest --pyargs features --golive-target http://127.0.0.1:8000

Without `--golive-target` it does nothing: no scenario is collected and none of its fixtures exist. Each scenario's outcome goes
to the journal that `--golive-journal` names; secrets come from the environment alone, so that no process list shows them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from gate.errors import GateError
from gate.journal import Journal
from gate.masking import Masker
from gate.model import Outcome, Status
from harness.scenarios import FEATURES, PlannedScenario, read_features, scenario_id, select
from harness.target import Target

if TYPE_CHECKING:
    from features.recording import Recording

__all__ = [
    "folder_of_features",
    "pytest_addoption",
    "pytest_configure",
    "pytest_ignore_collect",
    "pytest_unconfigure",
    "scenario_run",
]

STEPS_FACT = "scenario.steps"
HOURS_TAG = "@lets-hours-pass"

_RUN_NAME = "golive-scenarios"
_LINT_NAME = "golive-lint"
_OUTCOME = "golive.outcome"
_TAGS = "__golive_tags__"
_EXAMPLE = "_pytest_bdd_example"
_BOUND_MODULE = Path(__file__).with_name("test_scenarios.py")
# pytest-bdd binds scenarios while a module is imported, where no configuration can be asked for.
_folders: list[Path] = []


def folder_of_features() -> Path:
    """The folder whose scenarios run now. Raises pytest.UsageError when no target was given."""
    if not _folders:
        raise pytest.UsageError("scenarios need a running backend: give --golive-target URL")
    return _folders[-1]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("golive", "scenarios against a running backend")
    group.addoption("--golive-target", metavar="URL", default="", help="base URL of the backend under test")
    group.addoption("--golive-evolution", metavar="URL", default="", help="the fake Evolution API behind it")
    group.addoption("--golive-journal", metavar="PATH", default="", help="append each scenario's outcome to this journal")
    group.addoption("--golive-messages", metavar="PATH", default="", help="write Cucumber Messages (NDJSON) to this file")
    group.addoption("--golive-features", metavar="DIR", default="", help="folder of feature files (default: the built-in ones)")
    parser.addini("golive_lint", "refuse scenarios that could not fail or would not be missed (see golive lint)", "bool", True)
    group.addoption("--golive-only", metavar="ID", action="append", default=[], help="only this scenario; may be repeated")
    group.addoption(
        "--golive-tag", metavar="TAG", action="append", default=[], help="only scenarios with this tag; may be repeated"
    )


def pytest_configure(config: pytest.Config) -> None:
    url = config.getoption("--golive-target")
    if not url:
        if config.getini("golive_lint") and _has_pytest_bdd(config):
            from features.collection import CollectionLint

            config.pluginmanager.register(CollectionLint(FEATURES), _LINT_NAME)
        return
    if not _has_pytest_bdd(config):
        raise pytest.UsageError("the scenarios need pytest-bdd; pip install 'golive[scenarios]'")
    missing = [name for name in ("GOLIVE_ADMIN_EMAIL", "GOLIVE_ADMIN_PASSWORD") if not os.environ.get(name)]
    if missing:
        raise pytest.UsageError(f"{' and '.join(missing)}: not set; the scenarios sign in with them")
    target = Target(
        url=url,
        admin_email=os.environ["GOLIVE_ADMIN_EMAIL"],
        admin_password=os.environ["GOLIVE_ADMIN_PASSWORD"],
        evolution_url=config.getoption("--golive-evolution"),
        control_token=os.environ.get("GOLIVE_CONTROL_TOKEN", ""),
        metrics_token=os.environ.get("GOLIVE_METRICS_TOKEN", ""),
        log_path=Path(os.environ["GOLIVE_LOG"]) if os.environ.get("GOLIVE_LOG") else None,
        operations_url=os.environ.get("GOLIVE_OPERATIONS_URL", ""),
        signing_key=os.environ.get("GOLIVE_SIGNING_KEY", ""),
    )
    folder = Path(config.getoption("--golive-features") or FEATURES).resolve()
    journal, is_worker = config.getoption("--golive-journal"), hasattr(config, "workerinput")
    from features import steps
    from features.collection import CollectionLint

    try:
        planned = read_features(folder)
        selected = select(planned, config.getoption("--golive-tag"), config.getoption("--golive-only"))
    except GateError as error:
        raise pytest.UsageError(str(error)) from None
    _folders.append(folder)
    run = ScenarioRun(
        target=target,
        planned=planned,
        selected=selected,
        journal=Path(journal) if journal and not is_worker else None,
        worker=_worker_number(config),
        folder=folder,
        messages=Path(messages) if (messages := config.getoption("--golive-messages")) and not is_worker else None,
    )
    config.pluginmanager.register(run, _RUN_NAME)
    config.pluginmanager.register(CollectionLint(FEATURES, folder=folder), _LINT_NAME)
    config.pluginmanager.import_plugin("features.fixtures")
    _load_steps(config, folder, steps)


def _has_pytest_bdd(config: pytest.Config) -> bool:
    """By its entry point, or by -p."""
    return any(config.pluginmanager.has_plugin(name) for name in ("pytest-bdd", "pytest_bdd.plugin"))


def _load_steps(config: pytest.Config, folder: Path, library: ModuleType) -> None:
    """The step library, and the steps that stand beside the scenarios: `steps/*.py` in their folder."""
    for area in sorted(module.name for module in pkgutil.iter_modules(library.__path__)):
        # Imported as any module: the steps of one area use those of another, and pytest would warn of what it cannot rewrite.
        config.pluginmanager.register(importlib.import_module(f"{library.__name__}.{area}"), f"golive steps of {area}")
    own = folder / "steps"
    if own.is_dir() and own != Path(library.__path__[0]).resolve():
        for path in sorted(own.glob("*.py")):
            config.pluginmanager.register(_module_at(path), f"golive steps of {path}")


def _module_at(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"golive_own_steps_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise pytest.UsageError(f"{path}: cannot be read as a module of steps")
    module = importlib.util.module_from_spec(spec)
    # Known by name before it runs: dataclasses look their own module up.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise pytest.UsageError(f"{path}: its steps cannot be loaded: {type(error).__name__}: {error}") from None
    return module


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.pluginmanager.has_plugin(_RUN_NAME):
        from features.definitions import close_loop

        close_loop()
        _folders.pop()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path == _BOUND_MODULE and not config.getoption("--golive-target"):
        return True
    return None


def scenario_run(config: pytest.Config) -> ScenarioRun:
    """The run that this pytest session carries out."""
    run = config.pluginmanager.get_plugin(_RUN_NAME)
    if not isinstance(run, ScenarioRun):
        raise pytest.UsageError("no scenarios run here: give --golive-target URL")
    return run


class ScenarioRun:
    """One run of scenarios: what was planned, what was bound, and what became of each."""

    def __init__(
        self,
        *,
        target: Target,
        planned: list[PlannedScenario],
        selected: list[PlannedScenario],
        journal: Path | None,
        worker: int,
        folder: Path,
        messages: Path | None,
    ) -> None:
        from features.secrecy import Secrecy

        secrets = tuple(filter(None, (target.admin_password, target.control_token, target.metrics_token, target.signing_key)))
        self.target = target
        self.worker = worker
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
        from features.recording import Recording

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
        from features.recording import StepRecord

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
        from features.recording import from_json

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


def _worker_number(config: pytest.Config) -> int:
    """0 in a single process, else the number of this xdist worker, from 1."""
    name = str(getattr(config, "workerinput", {}).get("workerid", ""))
    return int(name.removeprefix("gw")) + 1 if name else 0
