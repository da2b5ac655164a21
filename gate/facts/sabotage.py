"""Proves that a check can fail: applies a saboteur to a throw-away copy of the subject's world and runs the check on that.

The copy of a database on Postgres is made of the subject's database as a template, to which nobody else may then be connected.
"""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import unquote, urlsplit

from gate.errors import GateError
from gate.facts import secret_places, throwaway, tree
from gate.facts.catalog import digest, snapshot
from gate.facts.connections import backend_of, database_name, held, with_database
from gate.facts.part_journals import PartJournals
from gate.facts.providers import providers
from gate.facts.subject import Subject
from gate.facts.throwaway import ThrowawayDatabase
from gate.facts.worlds import (
    AuditReport,
    BackendLog,
    Deployment,
    DocumentFolder,
    MigrationScript,
    PackageCopy,
    PlantedFlow,
    RepositoryCopy,
    ScenarioFolder,
)
from gate.model import Outcome
from gate.registry import Item, Saboteur
from gate.runner import Facts, run

__all__ = ["answer", "sabotaged", "stated_reasons"]

# Facts for which one connection is enough, so that they see what a transaction has not committed.
_READ_IN_ONE_CONNECTION = {"catalog", "schema", "subject"}
CANARY = "canary-7f3c9e1a5b2d"


@cache
def stated_reasons() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """What a check says after each of its saboteurs, by check and saboteur: a part of its reason, one of those given."""
    found = tomllib.loads(resources.files("gate.checks").joinpath("reasons.toml").read_text(encoding="utf-8"))
    return {
        check: {name: (said,) if isinstance(said, str) else tuple(said) for name, said in reasons.items()}
        for check, reasons in found.items()
    }


def answer(item: Item, subject: Subject, *, flow: Callable[[], Any] | None = None) -> Outcome:
    """What one check finds in a subject. `flow` observes the running backend, for checks that ask for it."""
    extra: Mapping[str, Callable[[], Any]] = {"flow": flow} if flow is not None else {}
    return run([item], Facts({**providers(subject), **extra}))[0]


def sabotaged(
    item: Item,
    saboteur: Saboteur,
    subject: Subject,
    *,
    flow: tuple[PlantedFlow, Callable[[], Any]] | None = None,
    stages: SimpleQueue[str] | None = None,
) -> Outcome:
    """What the check finds after the saboteur was there; it has to be a failure.

    `stages` are URLs of copies of the subject's database that nobody else uses: where a check reads the catalog alone, a saboteur
    works there in a transaction that is rolled back, which is much quicker than a copy for each. `flow` is a backend to plant a
    bug in, and its observer. Raises NotApplicable where the saboteur has nothing to break, and GateError when a world that it
    names cannot be made of the subject.
    """
    with ExitStack() as stack:
        worlds: dict[str, Any] = {}
        for name in saboteur.worlds:
            if name == "flow":
                if flow is None:
                    raise GateError(f"{item.id}: {saboteur.name} needs a running backend to plant a bug in")
                worlds[name] = flow[0]
            else:
                stage = stages if set(item.facts) <= _READ_IN_ONE_CONNECTION else None
                worlds[name], subject = stack.enter_context(_world(name, subject, stage, item.facts))
        saboteur.function(**worlds)
        subject = _narrowed(item, subject)
        return answer(item, subject, flow=flow[1] if flow is not None else None)


def _narrowed(item: Item, subject: Subject) -> Subject:
    """Only the module that a check of imports asks for, and the application only where it has a route to serve."""
    asked = tuple(module for module in subject.modules if item.id == f"imports.{module.role}")
    if not asked or "modules" not in item.facts:
        return subject
    application = subject.application if any(module.routes for module in asked) else ""
    return replace(subject, modules=asked, application=application)


@contextmanager
def _world(name: str, subject: Subject, stages: SimpleQueue[str] | None, facts: Sequence[str]) -> Iterator[tuple[Any, Subject]]:
    if name == "database" and stages is not None:
        url = stages.get()
        try:
            with held(url) as shared:
                yield ThrowawayDatabase(url=shared), replace(subject, database_url=shared)
        finally:
            stages.put(url)
    elif name == "database":
        with _copy_of_database(subject) as database:
            yield database, replace(subject, database_url=database.url)
    elif name == "tree":
        with tree.copy(subject) as copy:
            yield copy, copy.subject
    elif name == "deployment":
        values = dict(subject.environment or {})
        yield Deployment(values=values), replace(subject, environment=values)
    elif name == "script":
        if subject.migration is None:
            raise GateError("the subject names no migration script to break")
        with _copy_of_file(subject.migration) as path:
            yield MigrationScript(path=path), replace(subject, migration=path)
    elif name == "log":
        if not subject.logs:
            raise GateError("the subject names no log to break")
        with _copy_of_file(subject.logs[0]) as path:
            canaries = {**subject.canaries, "a canary": CANARY}
            yield BackendLog(path=path, canary=CANARY), replace(subject, logs=(path,), canaries=canaries)
    elif name == "scenarios":
        if subject.features is None:
            raise GateError("the subject names no folder with scenarios to break")
        with tempfile.TemporaryDirectory(prefix="golive-copy-") as folder:
            path = Path(shutil.copytree(subject.features, Path(folder, "features")))
            yield ScenarioFolder(path=path), replace(subject, features=path)
    elif name == "repository":
        if subject.repository is None:
            raise GateError("the subject names no repository to break")
        # Who looks at files alone needs no commit of them.
        committed = not set(facts) <= {"repository_scan", "locked"}
        with _copy_of_repository(subject.repository, committed=committed) as repository:
            yield repository, replace(subject, repository=repository.path, commits="released..HEAD" if committed else "")
    elif name == "package":
        if not subject.artefacts:
            raise GateError("the subject names no built package to break")
        with _copy_of_file(subject.artefacts[0]) as path:
            yield PackageCopy(path=path), replace(subject, artefacts=(path,))
    elif name == "report":
        if subject.audit_report is None:
            raise GateError("the subject names no report of pip-audit to break")
        with _copy_of_file(subject.audit_report) as path:
            yield AuditReport(path=path), replace(subject, audit_report=path)
    elif name == "documents":
        with tempfile.TemporaryDirectory(prefix="golive-copy-") as folder:
            for path in subject.documents:
                (shutil.copytree if path.is_dir() else shutil.copy)(path, Path(folder, path.name))
            yield DocumentFolder(path=Path(folder)), replace(subject, documents=(Path(folder),))
    elif name == "part_journals":
        with tempfile.TemporaryDirectory(prefix="golive-copy-") as folder:
            journals = PartJournals.sound(Path(folder), digest(snapshot(subject.database_url, subject.schema.schema)))
            yield journals, replace(subject, journals=journals.named)
    else:
        raise GateError(f"no throw-away world is called {name!r}")


@contextmanager
def _copy_of_database(subject: Subject) -> Iterator[ThrowawayDatabase]:
    url = subject.database_url
    if backend_of(url) == "sqlite":
        source = Path(unquote(urlsplit(url).path)[1:])
        if not source.is_file():
            raise GateError("only a database in a file can be copied; name it as sqlite:///path")
        with throwaway.on_sqlite() as database:
            shutil.copyfile(source, urlsplit(database.url).path[1:])
            yield database
        return
    server = subject.scratch_url or with_database(url, "postgres")
    with throwaway.on_postgres(server, template=database_name(url)) as database:
        yield database


@contextmanager
def _copy_of_repository(source: Path, *, committed: bool) -> Iterator[RepositoryCopy]:
    """Its tracked files, in a repository of their own, where asked for in one commit that is tagged `released`."""
    with tempfile.TemporaryDirectory(prefix="golive-copy-") as folder:
        copy = RepositoryCopy(path=Path(folder))
        for name, path in secret_places.files_of(source):
            Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, Path(folder, name), follow_symlinks=False)
        copy.git("init", "--quiet", "--initial-branch", "main")
        copy.git("add", "--all", "--force")
        if committed:
            copy.commit("the release before")
            copy.git("tag", "released")
        yield copy


@contextmanager
def _copy_of_file(source: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="golive-copy-") as folder:
        yield Path(shutil.copy(source, folder))
