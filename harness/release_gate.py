"""Runs the release gate by itself: a database, the facts that can be read from it, and a flow that is observed."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from gate.facts.environment import parse_dotenv
from gate.facts.logs import LogScan, scan
from gate.facts.providers import providers
from gate.facts.subject import Subject
from gate.journal import Journal
from gate.model import Outcome
from gate.registry import Item
from gate.runner import Facts, run
from harness.datastores import Database, DatastoreError, open_database
from harness.rehearsal import JOURNAL, database_fact, release_of

if TYPE_CHECKING:
    from gate.facts.flow import FlowObservations
    from harness.reference import ReferenceSystem

__all__ = ["run_gate", "subject_of"]


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
    return replace(found, environment=parse_dotenv(env_file)) if env_file is not None else found


def run_gate(
    items: Sequence[Item],
    directory: Path,
    *,
    database: str,
    env_file: Path | None,
    logs: Sequence[Path],
    listener: Listener,
) -> list[Outcome]:
    """Answers every item and journals it in `directory`.

    A database given by URL is only read; 'embedded' and 'memory' are migrated first. The flow is observed on the reference with a
    database of its own, never on the given one. A database that cannot be had is an ERROR of every check that needs it.
    """
    from harness.reference import migrate

    expected = [item.id for item in items]
    journal = Journal.create(directory / JOURNAL, release=release_of(Path.cwd()), expected=expected)
    with contextlib.ExitStack() as stack, journal.part("gate", expected=expected):
        flow = _Flow(directory / "flow")
        try:
            opened = stack.enter_context(open_database(database))
        except DatastoreError as error:
            facts: dict[str, Callable[[], Any]] = dict.fromkeys((name for item in items for name in item.facts), _raiser(error))
        else:
            if opened.origin != "given":
                migrate(opened.url)
            listener.note(f"database: {opened.backend} {opened.server_version} ({opened.origin})")
            journal.fact("environment", {"database": database_fact(opened)})
            subject = subject_of(opened, env_file=env_file)
            facts = dict(providers(replace(subject, logs=tuple(logs)) if logs else subject))
            if not logs:
                facts["logs"] = flow.logs
        facts["flow"] = flow.observed

        def note(outcome: Outcome) -> None:
            journal.append(outcome)
            listener.outcome(outcome)

        return run(items, Facts(facts), on_outcome=note)


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


def _raiser(error: DatastoreError) -> Callable[[], NoReturn]:
    def fail() -> NoReturn:
        raise error

    return fail
