"""The pytest plugin that runs the scenarios against a running backend.

    GOLIVE_ADMIN_EMAIL=… GOLIVE_ADMIN_PASSWORD=… pytest --pyargs features --golive-target http://127.0.0.1:8000

Without `--golive-target` it does nothing: no scenario is collected and none of its fixtures exist. Each scenario's outcome goes
to the journal that `--golive-journal` names; secrets come from the environment alone, so that no process list shows them.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from features.run import ScenarioRun

__all__ = [
    "folder_of_features",
    "pytest_addoption",
    "pytest_configure",
    "pytest_ignore_collect",
    "pytest_unconfigure",
    "scenario_run",
]

# This module is loaded in every run of pytest wherever golive is installed: what only a run of scenarios needs is imported there.
_BUILT_IN = Path(__file__).resolve().parent
_RUN_NAME = "golive-scenarios"
_LINT_NAME = "golive-lint"
_BOUND_MODULE = Path(__file__).with_name("test_scenarios.py")
# pytest-bdd binds scenarios while a module is imported, where no configuration can be asked for.
_folders: list[Path] = []
_systems = contextlib.ExitStack()


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

            config.pluginmanager.register(CollectionLint(_BUILT_IN), _LINT_NAME)
        return
    if not _has_pytest_bdd(config):
        raise pytest.UsageError("the scenarios need pytest-bdd; pip install 'golive[scenarios]'")
    from features import steps
    from features.collection import CollectionLint
    from features.run import ScenarioRun, worker_number
    from gate.errors import GateError
    from harness.scenarios import read_features, select
    from harness.target import OWN_SYSTEM, Target
    from harness.targets import own_system

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
    worker, told = worker_number(config), os.environ.get(OWN_SYSTEM, "")
    folder = Path(config.getoption("--golive-features") or _BUILT_IN).resolve()
    journal, is_worker = config.getoption("--golive-journal"), hasattr(config, "workerinput")
    try:
        planned = read_features(folder)
        selected = select(planned, config.getoption("--golive-tag"), config.getoption("--golive-only"))
        # The controller of workers runs nothing itself.
        if told and (worker or not config.getoption("numprocesses", None)):
            target = _systems.enter_context(own_system(told, worker))
    except GateError as error:
        raise pytest.UsageError(str(error)) from None
    _folders.append(folder)
    run = ScenarioRun(
        target=target,
        planned=planned,
        selected=selected,
        journal=Path(journal) if journal and not is_worker else None,
        worker=worker,
        shared=worker > 0 and not told,
        folder=folder,
        messages=Path(messages) if (messages := config.getoption("--golive-messages")) and not is_worker else None,
    )
    config.pluginmanager.register(run, _RUN_NAME)
    if config.getini("golive_lint"):
        config.pluginmanager.register(CollectionLint(_BUILT_IN, folder=folder), _LINT_NAME)
    config.pluginmanager.import_plugin("features.fixtures")
    _load_steps(config, folder, steps)


def _has_pytest_bdd(config: pytest.Config) -> bool:
    """By its entry point, or by -p."""
    return any(config.pluginmanager.has_plugin(name) for name in ("pytest-bdd", "pytest_bdd.plugin"))


def _load_steps(config: pytest.Config, folder: Path, library: ModuleType) -> None:
    """The step library, and the steps that stand beside the scenarios."""
    for area in sorted(module.name for module in pkgutil.iter_modules(library.__path__)):
        # Imported as any module: the steps of one area use those of another, and pytest would warn of what it cannot rewrite.
        config.pluginmanager.register(importlib.import_module(f"{library.__name__}.{area}"), f"golive steps of {area}")
    if folder == _BUILT_IN:
        return
    from features.expressions import StepError
    from features.lint import modules_of_steps

    try:
        own = modules_of_steps(folder)
    except StepError as error:
        raise pytest.UsageError(str(error)) from None
    # Last, so that nothing of ours is hidden by a file of theirs.
    sys.path.extend(dict.fromkeys(str(path.parent) for path in own))
    for number, path in enumerate(own):
        config.pluginmanager.register(_module_at(path, f"golive_own_steps_{number}_{path.stem}"), f"golive steps of {path}")


def _module_at(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise pytest.UsageError(f"{path}: cannot be read as a module of steps")
    module = importlib.util.module_from_spec(spec)
    # Known by name before it runs: dataclasses look their own module up.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise pytest.UsageError(f"{path}: its steps cannot be loaded: {type(error).__name__}: {error}") from None
    return module


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.pluginmanager.has_plugin(_RUN_NAME):
        from features.definitions import close_loop

        close_loop()
        _folders.pop()
        _systems.close()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path == _BOUND_MODULE and not config.getoption("--golive-target"):
        return True
    return None


def scenario_run(config: pytest.Config) -> ScenarioRun:
    """The run that this pytest session carries out."""
    from features.run import ScenarioRun

    run = config.pluginmanager.get_plugin(_RUN_NAME)
    if not isinstance(run, ScenarioRun):
        raise pytest.UsageError("no scenarios run here: give --golive-target URL")
    return run
