"""The lint at the collection of any pytest run that has scenarios of pytest-bdd in it, ours or not.

What pytest-bdd itself sees decides: the steps that are visible to the module of a scenario, and the files that the collected
tests execute.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from features.expressions import StepError
from features.gherkin_files import FeatureFile, keep_documents, read_feature_file
from features.lint import FEATURE_NAME, Finding, Library, check_feature, check_ids, check_steps, in_order, tags_known_to, walk
from features.sources import DefinedStep, read_source

__all__ = ["INI", "CollectionLint"]

INI = "golive_lint"
_MOST_SHOWN = 20
_ALWAYS_PRESENT = ("pytest.ini", "pytest.toml", ".pytest.ini", ".pytest.toml")


class CollectionLint:
    """Refuses to run what could not fail, or would not be missed.

    Below the folder `built_in` are the features that only a run of their own executes; `folder` is the one that this run is for.
    """

    def __init__(self, built_in: Path, *, folder: Path | None = None) -> None:
        from pytest_bdd import gherkin_parser

        keep_documents(gherkin_parser)
        self._built_in = built_in
        self._folder = folder
        self._said = ""
        self._static: dict[Path, list[DefinedStep]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
        findings = [item for item in self._findings(session, config, items) if item.rule != "unused-step"]
        if not findings:
            return
        said = self._say(findings, config)
        if not hasattr(config, "workerinput"):
            raise pytest.UsageError(said)
        # An error in a worker of pytest-xdist would be told as a crash: its controller says it and ends the run.
        config.workeroutput[INI] = said  # type: ignore[attr-defined]
        items.clear()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        if said := getattr(node, "workeroutput", {}).get(INI):
            self._said = said

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._said:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self._said.splitlines():
            terminalreporter.line(f"ERROR: {line}", red=True)

    def _say(self, findings: Iterable[Finding], config: pytest.Config) -> str:
        ordered = in_order(findings)
        lines = []
        for item in ordered[:_MOST_SHOWN]:
            lines.append(f"{_near(item.path, config)}:{item.line}: {item.rule}: {item.message}")
            lines += [f"    {line}" for line in item.hint.splitlines()]
        if len(ordered) > _MOST_SHOWN:
            lines.append(f"… and {len(ordered) - _MOST_SHOWN} more: golive lint says all")
        return "\n".join([*lines, f"nothing was run; {INI} = false in pytest's configuration turns this off"])

    def _findings(self, session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> Iterator[Finding]:
        bound: dict[Path, set[str]] = {}
        libraries: dict[pytest.Item | pytest.Collector, Library] = {}
        checked: set[tuple[Path, pytest.Item | pytest.Collector]] = set()
        files: dict[Path, FeatureFile] = {}
        for item in items:
            template = _template_of(item)
            if template is None:
                continue
            path, module = Path(template.feature.filename).resolve(), item.getparent(pytest.Module) or item
            bound.setdefault(path, set()).add(template.name)
            if (path, module) in checked:
                continue
            checked.add((path, module))
            if module not in libraries:
                libraries[module] = Library(self._visible_to(session, item))
            if path not in files:
                files[path] = read_feature_file(path)
            yield from check_feature(files[path], libraries[module], tags=self._tags(config, path))
        # Every step that a scenario's module sees, in whatever file it stands.
        for library in libraries.values():
            yield from check_steps(library, {step.path for step in library.steps if self._built_in not in step.path.parents})
        if self._folder is not None:
            yield from check_ids(list(files.values()))
        yield from self._unbound(config, bound, files)

    def _visible_to(self, session: pytest.Session, item: pytest.Item) -> Iterator[DefinedStep]:
        from pytest_bdd.compat import get_fixture_names, getfixturedefs
        from pytest_bdd.steps import step_function_context_registry

        manager = session._fixturemanager
        for name in get_fixture_names(manager):
            if not name.startswith("pytestbdd_stepdef_"):
                continue
            for fixture in getfixturedefs(manager, name, item) or ():
                context = step_function_context_registry.get(fixture.func)
                if context is not None:
                    yield self._definition(context, fixture.baseid)

    def _definition(self, context: Any, scope: str) -> DefinedStep:
        function = inspect.unwrap(context.step_func)
        code = function.__code__
        path, text, kind = Path(code.co_filename).resolve(), str(context.parser.name), context.type or ""
        if path not in self._static:
            self._static[path] = _steps_in(path)
        where = Path(scope) if scope else None
        for step in self._static[path]:
            if (step.kind, step.text, step.function_line) == (kind, text, code.co_firstlineno):
                return replace(step, matches=context.parser.is_matching, is_literal=False, beginning="", scope=where)
        never = "async-step", f"{function.__name__} is async and pytest-bdd never awaits it"
        return DefinedStep(
            kind=kind,
            text=text,
            path=path,
            line=code.co_firstlineno,
            function=function.__name__,
            function_line=code.co_firstlineno,
            parameters=tuple(inspect.signature(function).parameters),
            matches=context.parser.is_matching,
            is_expression=False,
            faults=(never,) if inspect.iscoroutinefunction(context.step_func) else (),
            scope=where,
        )

    def _unbound(self, config: pytest.Config, bound: dict[Path, set[str]], files: dict[Path, FeatureFile]) -> Iterator[Finding]:
        if any("::" in argument for argument in config.args):
            return
        for path, names in bound.items():
            for scenario in files[path].scenarios:
                if scenario.name not in names:
                    message = f"no test executes the scenario {scenario.name!r}"
                    yield Finding(rule="unbound-file", path=path, line=scenario.line, message=message)
        folders = [self._folder] if self._folder else [Path(argument) for argument in config.args if Path(argument).is_dir()]
        for path in sorted({path.resolve() for folder in folders for path in _feature_files(folder)} - set(bound)):
            if not (feature := read_feature_file(path)).scenarios and (self._folder or feature.faults):
                # Nothing in it could be bound: what is wrong with it is the message.
                yield from check_feature(feature, Library(()), tags=None)
            if self._folder or self._built_in not in path.parents:
                hint = "rename to *.feature and keep it out of hidden folders"
                yield Finding(rule="unbound-file", path=path, line=1, message="no test executes it", hint=hint)

    def _tags(self, config: pytest.Config, path: Path) -> Iterable[str]:
        """Tags are marks of pytest for pytest-bdd: those that are registered are known, except in a run of ours."""
        marks = () if self._folder else config.getini("markers")
        return tags_known_to(path) | {f"@{str(line).partition(':')[0].partition('(')[0].strip()}" for line in marks}


def _feature_files(folder: Path) -> Iterator[Path]:
    """Not those of another project inside, which has a configuration of pytest of its own."""
    elsewhere = {path.parent for path in walk(folder) if path.name in _ALWAYS_PRESENT and path.parent != folder}
    return (path for path in walk(folder) if FEATURE_NAME.search(path.name) and not elsewhere & {path.parent, *path.parents})


def _steps_in(path: Path) -> list[DefinedStep]:
    try:
        source = read_source(path)
    except StepError:
        return []
    return list(source.steps) if source else []


def _template_of(item: pytest.Item) -> Any:
    from pytest_bdd.scenario import scenario_wrapper_template_registry
    from pytest_bdd.utils import registry_get_safe

    return registry_get_safe(scenario_wrapper_template_registry, getattr(item, "obj", None))


def _near(path: Path, config: pytest.Config) -> str:
    return str(path.relative_to(config.rootpath) if config.rootpath in path.parents else path)
