"""Runs the release gate by itself: a database, the facts that can be read from it, and a flow that is observed."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from gate.errors import GateError, UsageError
from gate.facts.connections import backend_of
from gate.facts.logs import LogScan, scan
from gate.facts.providers import providers
from gate.facts.subject import Subject
from gate.journal import Journal
from gate.model import Outcome
from gate.registry import Item
from gate.release import FILE, Release
from gate.runner import Facts, run
from harness.datastores import Database, DatastoreError, open_database
from harness.record import bind_catalog, pinned
from harness.rehearsal import JOURNAL, database_fact, release_of

if TYPE_CHECKING:
    from gate.facts.flow import FlowObservations
    from harness.reference import ReferenceSystem

__all__ = ["NO_DATABASE", "migrate", "refuse_unknown", "run_gate", "subject_of", "subject_of_release"]

FACT_TIMEOUT_S = 120.0
OPENED_HERE = ("embedded", "memory", "auto", "sqlite://")
NEED_A_DATABASE = ("catalog", "datastore", "migration", "rehearsed", "convoy", "old_statements", "metadata_comparison")
NO_DATABASE = Database(url="", backend="sqlite", origin="given", server_version="")


class Listener(Protocol):
    """Hears how a gate goes."""

    def outcome(self, outcome: Outcome) -> None: ...

    def note(self, text: str) -> None: ...


def subject_of(database: Database, system: ReferenceSystem | None = None, *, env_file: Path | None = None) -> Subject:
    """The reference as the gate's subject; `env_file` holds the settings of the real deployment."""
    from harness.reference import subject
    from harness.scenarios import FEATURES

    found = replace(
        subject(database, system),
        features=FEATURES,
        scenario_tests=(
            *(str(FEATURES / "test_scenarios.py"), "--golive-target", "http://127.0.0.1:9"),
            # As the scenarios are run: with no configuration, conftest or plugin of whoever runs this.
            *("-c", os.devnull, "--rootdir", str(FEATURES), "--noconftest", "--disable-plugin-autoload"),
            *("-p", "pytest_bdd.plugin", "-p", "features.plugin"),
        ),
        scenario_environment={"GOLIVE_ADMIN_EMAIL": "nobody@golive.invalid", "GOLIVE_ADMIN_PASSWORD": "not used to collect"},
    )
    return replace(found, environment=None, environment_file=env_file) if env_file is not None else found


def run_gate(
    items: Sequence[Item],
    directory: Path,
    *,
    database: str,
    env_file: Path | None,
    logs: Sequence[Path],
    listener: Listener,
    release: Release | None = None,
    expected: Collection[str] | None = None,
) -> list[Outcome]:
    """Answers every item and journals it in `directory`; `expected` are the ids that must be answered, every item without it.

    A database given by URL is only read; 'embedded' and 'memory' are migrated first. Without a `release` the shipped example is
    looked at: its flow is observed on a database of its own, never on the given one. A database that cannot be had is an ERROR of
    every check that needs it.
    """
    planned = sorted(expected if expected is not None else {item.id for item in items})
    # The example is ours wherever it is run: the commit of the directory says nothing of it.
    record = (
        release_of(release.repository, name=release.name, version=release.version) | release.record()
        if release is not None
        else release_of(Path(__file__).parent)
    )
    journal = Journal.create(directory / JOURNAL, release=record, expected=planned)
    with contextlib.ExitStack() as stack, journal.part("gate", expected=planned):
        flow = _Flow(directory / "flow") if release is None else _ReleasedFlow(release)
        listener.note(
            f"release: {release.name} {release.version} ({release.path.name})"
            if release is not None
            else f"release: the shipped example, not what is in this directory; `golive init` writes a {FILE} for yours"
        )
        if lonely := [item.id for item in items if not item.is_shipped and not item.saboteurs]:
            listener.note(f"nothing shows that {', '.join(lonely)} can fail; give each a saboteur (@run.breaks)")
        if release is None and os.environ.get("DATABASE_URL") and "://" not in database:
            listener.note("DATABASE_URL is set and not looked at; give --database, or describe the release in golive.toml")
        try:
            opened = _given(database) or stack.enter_context(open_database(database))
            if opened.origin != "given":
                migrate(opened, release)
        except GateError as error:
            facts: dict[str, Callable[[], Any]] = _without_database(error, release, env_file, logs)
        else:
            listener.note(f"database: {opened.backend} {opened.server_version} ({opened.origin})")
            journal.fact("environment", {"database": database_fact(opened)})
            subject = _subject(opened.url, opened, release, env_file, logs)
            facts = dict(providers(subject))
        if not logs and release is None:
            facts["logs"] = flow.logs
        facts["flow"] = flow.observed

        def note(outcome: Outcome) -> None:
            journal.append(outcome)
            listener.outcome(outcome)

        timeout_s = release.check_timeout_s if release is not None else FACT_TIMEOUT_S
        known = Facts(facts)
        outcomes = run(items, known, on_outcome=note, timeout_s=timeout_s)
        if any("catalog" in item.facts for item in items):
            with contextlib.suppress(GateError):
                bind_catalog(journal, known.get("catalog"))
        return outcomes


def refuse_unknown(database: str) -> None:
    """Raises UsageError, before anything runs, for what can be no database that is looked at here; an empty one is none."""
    if database:
        try:
            _given(database)
        except GateError as error:
            raise UsageError(str(error)) from None


def _given(database: str) -> Database | None:
    """A database by URL, which each check reads for itself and says why it cannot; None for one that is opened here.

    Raises GateError where no database is named at all, or one of a kind that cannot be looked at.
    """
    if not database:
        raise GateError("no database was given; set the variable that database.url_from names (DATABASE_URL), or give --database")
    if database in OPENED_HERE or database.startswith("docker:"):
        return None
    return Database(url=database, backend=backend_of(database), origin="given", server_version="")


def migrate(opened: Database, release: Release | None) -> None:
    """The reference's own migration, or the scripts that the release names. Raises GateError when one is refused."""
    if release is None:
        from harness.reference import migrate

        migrate(opened.url)
        return
    from gate.facts.throwaway import ThrowawayDatabase

    subject = release.subject(database_url=opened.url, environment=os.environ)
    for script in (subject.baseline, subject.migration):
        if script is not None:
            try:
                text = script.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise DatastoreError(f"{script}: cannot be read ({type(error).__name__}); correct it in {FILE}") from None
            if opened.backend == "sqlite":
                raise DatastoreError(
                    f"{script.name} is SQL for Postgres; give --database embedded, or the URL of a migrated database"
                )
            ThrowawayDatabase(url=opened.url).execute(text)


def subject_of_release(release: Release, url: str) -> Subject:
    """What a release describes, with a database by URL."""
    found = release.subject(database_url=url, environment=os.environ)
    if (named := found.journals) is not None:
        found = replace(found, journals=replace(named, pinned=lambda: pinned(found.features, proof="proof" in named.paths)))
    return found


def _subject(url: str, opened: Database | None, release: Release | None, env_file: Path | None, logs: Sequence[Path]) -> Subject:
    if release is not None:
        found = subject_of_release(release, url)
        if env_file is not None:
            found = replace(found, environment=None, environment_file=env_file)
    else:
        found = subject_of(opened, env_file=env_file) if opened is not None else subject_of(NO_DATABASE, env_file=env_file)
    return replace(found, logs=tuple(logs)) if logs else found


def _without_database(
    error: GateError, release: Release | None, env_file: Path | None, logs: Sequence[Path]
) -> dict[str, Callable[[], Any]]:
    """What needs no database is answered all the same."""
    facts = dict(providers(_subject("", None, release, env_file, logs)))
    return facts | dict.fromkeys(NEED_A_DATABASE, _raiser(error))


class _ReleasedFlow:
    """The release's own backend, in front of a fake; never the reference in its place."""

    def __init__(self, release: Release) -> None:
        self._release = release

    def observed(self) -> FlowObservations:
        from harness import targets
        from harness.flow import observe

        url, evolution = self._release.backend
        if not url or not evolution:
            raise GateError(
                "no running backend was given; name backend.url and backend.evolution (the fake in front of which it runs) in"
                f" {self._release.path.name}"
            )
        from harness.evolution.client import EvolutionControl

        with (
            targets.remote(url, evolution, os.environ) as (target, pace),
            EvolutionControl(target.evolution_url, target.control_token) as control,
        ):
            return observe(target, pace, control)

    def logs(self) -> LogScan:
        raise GateError("no log of the backend was given; name the file that it logs to")


class _Flow:
    """The reference on a database of its own, taken through once, when first asked for."""

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir
        self._lock = threading.Lock()
        self._found: tuple[FlowObservations, LogScan] | None = None

    def observed(self) -> FlowObservations:
        return self._look()[0]

    def logs(self) -> LogScan:
        return self._look()[1]

    def _look(self) -> tuple[FlowObservations, LogScan]:
        from harness.flow import observe
        from harness.reference import start

        with self._lock:
            if self._found is None:
                with open_database("memory") as database, start(database=database, workdir=self._workdir) as system:
                    with system.current() as target:
                        flow = observe(target, system.pace, system.evolution)
                    self._found = flow, scan((system.log_path,), system.secrets)
            return self._found


def _raiser(error: GateError) -> Callable[[], NoReturn]:
    def fail() -> NoReturn:
        raise error

    return fail
