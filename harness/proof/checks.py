"""Proves that every check of the gate can fail: each of its saboteurs breaks a copy of the reference, and it has to turn red.

A release's own checks are tried on copies of the release instead, with a database made by its own scripts. Nothing but copies is
touched: databases made from a template, a temporary tree, settings in memory, a copy of a log, a backend started with one planted
bug. A saboteur after which the check still passes is a survivor.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue

from gate.errors import GateError, NotApplicable
from gate.facts.catalog import digest, snapshot
from gate.facts.connections import with_database
from gate.facts.flow import FlowObservations
from gate.facts.part_journals import PartJournals
from gate.facts.providers import providers
from gate.facts.sabotage import sabotaged, stated_reasons
from gate.facts.subject import Subject
from gate.facts.worlds import RepositoryCopy
from gate.model import Outcome, Status
from gate.registry import Item, Saboteur
from gate.release import Release
from gate.runner import Facts, run
from harness.datastores import Database, open_database

__all__ = ["SOUND", "End", "Trial", "prove"]

# Sound worlds are tried too: a check that is red without a saboteur kills nothing.
SOUND = "the sound world"
AT_A_TIME = 2


class End(StrEnum):
    """How a trial ended."""

    KILLED = "killed"
    PASSED = "passed"
    SURVIVED = "survived"
    OTHER_REASON = "for another reason"
    RED_WHEN_SOUND = "red when sound"
    NO_SABOTEUR = "no saboteur"
    ERROR = "error"
    DOES_NOT_APPLY = "does not apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One check and one saboteur (or SOUND), how it ended, and what the check said."""

    check: str
    saboteur: str
    end: End
    reason: str

    @property
    def proves(self) -> bool:
        return self.end in (End.KILLED, End.PASSED, End.DOES_NOT_APPLY)


def prove(
    items: Sequence[Item],
    *,
    database: str,
    workdir: Path,
    release: Release | None = None,
    on_trial: Callable[[Trial], None] = lambda _: None,
) -> list[Trial]:
    """Tries every check on the sound world, and then after each of its saboteurs, in the order of the checks.

    The world is the reference, or a `release` for its own checks. `database` is as `harness.datastores.open_database` takes it: a
    server on which databases are made and dropped, none that is there is touched. Raises DatastoreError when there is none.
    """
    with (
        _worlds(database, workdir) if release is None else _released(database, release) as subject,
        contextlib.ExitStack() as stack,
        ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="trial") as pool,
    ):
        trials: list[Trial] = []

        def collect(planned: Sequence[Future[Trial]]) -> None:
            for future in planned:
                trials.append(future.result())
                on_trial(trials[-1])

        try:
            # All of them before the first copy: a database that somebody reads cannot be copied.
            for trial in _sound(items, subject, workdir):
                trials.append(trial)
                on_trial(trial)
            stages = stack.enter_context(_stages(subject))
            collect(
                [pool.submit(_broken, item, saboteur, subject, workdir, stages) for item in items for saboteur in item.saboteurs]
            )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        for item in items:
            if not item.saboteurs:
                trials.append(Trial(check=item.id, saboteur="", end=End.NO_SABOTEUR, reason="nothing shows that it can fail"))
                on_trial(trials[-1])
    return trials


def _sound(items: Sequence[Item], subject: Subject, workdir: Path) -> Iterator[Trial]:
    """Every check on the one sound world, of which each fact is read once."""
    facts = Facts({**providers(subject), "flow": _Planted(workdir).observe})
    ends = {Status.PASS: End.PASSED, Status.SKIP: End.DOES_NOT_APPLY, Status.FAIL: End.RED_WHEN_SOUND}
    for item, outcome in zip(items, run(items, facts), strict=True):
        yield _trial(item, SOUND, ends.get(outcome.status, End.ERROR), outcome)


@contextlib.contextmanager
def _stages(subject: Subject) -> Iterator[SimpleQueue[str] | None]:
    """A copy of the database for each trial that is held at a time; none where a copy is a file, which costs nothing."""
    from gate.facts import throwaway
    from gate.facts.connections import backend_of, database_name

    if backend_of(subject.database_url) == "sqlite":
        yield None
        return
    stages: SimpleQueue[str] = SimpleQueue()
    with contextlib.ExitStack() as copies:
        for _ in range(AT_A_TIME):
            made = throwaway.on_postgres(subject.scratch_url, template=database_name(subject.database_url))
            stages.put(copies.enter_context(made).url)
        yield stages


def _broken(item: Item, saboteur: Saboteur, subject: Subject, workdir: Path, stages: SimpleQueue[str] | None) -> Trial:
    name = saboteur.name.replace("_", " ")
    planted = _Planted(workdir)
    try:
        outcome = sabotaged(item, saboteur, subject, flow=(planted, planted.observe), stages=stages)
    except NotApplicable as why:
        return Trial(check=item.id, saboteur=name, end=End.DOES_NOT_APPLY, reason=str(why))
    except GateError as error:
        return Trial(check=item.id, saboteur=name, end=End.ERROR, reason=str(error))
    # A warning, or seeing too little, would not have stopped a release for this reason.
    ends = {Status.FAIL: End.KILLED, Status.ERROR: End.ERROR, Status.SKIP: End.DOES_NOT_APPLY}
    end = ends.get(outcome.status, End.SURVIVED)
    stated = stated_reasons().get(item.id, {}).get(saboteur.name, ("",))
    if end is End.KILLED and not any(said in outcome.reason for said in stated):
        # Red by chance: with what was planted mended, it might be red still.
        told = f"{outcome.reason}; expected it to say {' or '.join(map(repr, stated))}"
        return Trial(check=item.id, saboteur=name, end=End.OTHER_REASON, reason=told)
    return _trial(item, name, end, outcome)


def _trial(item: Item, saboteur: str, end: End, outcome: Outcome) -> Trial:
    return Trial(check=item.id, saboteur=saboteur, end=end, reason=outcome.reason)


class _Planted:
    """The reference, started with one planted bug for each observation."""

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir / "planted"
        self._chaff = ""

    def plant(self, chaff: str) -> None:
        self._chaff = chaff

    def observe(self) -> FlowObservations:
        from harness.flow import observe
        from harness.reference import start

        folder = self._workdir / secrets.token_hex(4)
        with (
            open_database("memory") as database,
            start(database=database, workdir=folder) as system,
            system.current(chaff=self._chaff) as target,
        ):
            return observe(target, system.pace, system.evolution)


@contextlib.contextmanager
def _worlds(spec: str, workdir: Path) -> Iterator[Subject]:
    """The reference on a migrated database of its own, with a log that it really wrote and the settings of a deployment."""
    from harness.flow import observe
    from harness.reference import DATASTORE, migrate, start
    from harness.release_gate import subject_of

    with _own(spec) as database:
        migrate(database.url)
        with open_database("memory") as observed, start(database=observed, workdir=workdir) as system:
            with system.current() as target:
                observe(target, system.pace, system.evolution)
            yield replace(
                subject_of(database, system),
                repository=_repository(workdir),
                commits="released..HEAD",
                artefacts=(_package(workdir),),
                documents=(_documents(workdir),),
                audit_report=_audit(workdir),
                datastore=DATASTORE,
                scratch_url=with_database(database.url, "postgres") if database.backend == "postgresql" else "",
                environment=_deployment(system.secrets),
                journals=PartJournals.sound(workdir / "parts", digest(snapshot(database.url, "public"))).named,
            )


@contextlib.contextmanager
def _released(spec: str, release: Release) -> Iterator[Subject]:
    """The release as it lies there, on a database of its own that its scripts have made."""
    from gate.facts import environment
    from harness.release_gate import migrate, subject_of_release

    with _own(spec) as database:
        migrate(database, release)
        subject = subject_of_release(release, database.url)
        values = None
        if subject.environment_file is not None and subject.environment_manifest is None:
            values = environment.parse_dotenv(subject.environment_file)
        yield replace(
            subject,
            scratch_url=with_database(database.url, "postgres") if database.backend == "postgresql" else "",
            environment=values if values is not None else subject.environment,
        )


@contextlib.contextmanager
def _own(spec: str) -> Iterator[Database]:
    from gate.facts import throwaway

    if spec in ("memory", "sqlite://"):
        # Copies are made of files.
        with throwaway.on_sqlite() as file, open_database("memory") as memory:
            yield replace(memory, url=file.url)
        return
    with open_database(spec) as server, server.throwaway() as database:
        yield database


def _repository(workdir: Path) -> Path:
    """A repository with the reference as the release before, and a commit after it."""
    from harness.reference import PACKAGE

    copy = RepositoryCopy(path=workdir / "repository")
    shutil.copytree(PACKAGE, copy.path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    (copy.path / "pyproject.toml").write_text('[project]\nname = "a"\ndependencies = ["fastapi>=0.1"]\n', encoding="utf-8")
    (copy.path / "requirements.txt").write_text("fastapi==0.165.0\n", encoding="utf-8")
    copy.git("init", "--quiet", "--initial-branch", "main")
    copy.git("add", "--all")
    copy.commit("the release before")
    copy.git("tag", "released")
    copy.write("README.md", "# The release\n")
    copy.commit("the release")
    return copy.path


def _package(workdir: Path) -> Path:
    """The reference as a wheel holds it."""
    from harness.reference import PACKAGE

    path = workdir / "reference-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as package:
        for file in sorted(PACKAGE.rglob("*.py")):
            if "tests" not in file.parts:
                package.write(file, file.relative_to(PACKAGE.parent).as_posix())
    return path


def _audit(workdir: Path) -> Path:
    """A report of pip-audit without a finding: what is proven is that the next one would be seen."""
    path = workdir / "audit.json"
    path.write_text(json.dumps({"dependencies": [{"name": "fastapi", "version": "0.165.0", "vulns": []}]}), encoding="utf-8")
    return path


def _documents(workdir: Path) -> Path:
    folder = workdir / "documents"
    folder.mkdir()
    (folder / "RELEASE_GATE_RESULTS.md").write_text("# Results\n\nSent to ****9999.\n", encoding="utf-8")
    return folder


def _deployment(made: Mapping[str, str]) -> Mapping[str, str]:
    """Settings as a deployment should have them."""
    return {
        "APP_ENV": "production",
        "BASE_URL": "https://backend.invalid",
        "DATABASE_URL": "postgresql://app@database.invalid/app",
        "EVOLUTION_API_URL": "http://evolution.invalid:8080",
        **{name: made[name] for name in ("EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET")},
    }
