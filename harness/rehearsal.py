"""A whole go-live on one machine: from the migration of a database to the rollback, every part writing to one journal.

The parts run one after the other, scenarios and rollback beside them on systems of their own, and none may take the others down:
what keeps a part from answering becomes an ERROR under every id that it owed. Nothing is decided here.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gate.errors import GateError, JournalError, UsageError
from gate.facts.git import git
from gate.facts.providers import providers
from gate.facts.subject import Journals
from gate.journal import JOURNAL, Journal, read
from gate.masking import Masker
from gate.model import Evidence, Outcome, Severity, Status
from gate.registry import Item, Kind, registry
from gate.runner import Facts
from gate.runner import run as run_checks
from harness.datastores import Database, DatastoreError, open_database
from harness.target import Target
from harness.targets import UNIT_SLUG, make_unit

if TYPE_CHECKING:
    from harness.beside import Beside
    from harness.reference import ReferenceSystem

__all__ = [
    "JOURNAL",
    "Listener",
    "Plan",
    "Run",
    "connect_a_unit",
    "database_fact",
    "plan",
    "proof",
    "rehearse",
    "release_of",
    "rollback",
    "scenarios",
]

MIGRATION_ID = "migration.applied"
# Numbers of area code 11, which the provider takes as they are.
RECIPIENTS = ("5511987650001", "5511987650002", "5511987650003", "5511987650004")
HOUR_MIN = 60
# All of it shares this machine, so the latency to keep is one that tells a broken release, not a busy machine.
P95_MS = 2000.0
OWN_PROCESS_FACTS = ("modules", "features", "migration")


class Listener(Protocol):
    """Hears how a rehearsal goes, for whoever shows it."""

    def part(self, title: str, expected: int) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a rehearsal will do; made, and its mistakes found, before anything starts.

    database: as `harness.datastores.open_database` takes it. release: name, version, commit and the like. features: another
    folder of scenarios than the shipped one. load_users, load_s: the size of the load run. env_file: settings of the deployment
    to check. commits: the release's first and last commit in the repository here. environment: settings of the rehearsed backend
    to override. proof: the folder of a `golive prove`.
    """

    out: Path
    database: str
    release: Mapping[str, Any]
    checks: tuple[Item, ...]
    scenario_ids: tuple[str, ...]
    features: Path | None = None
    tags: tuple[str, ...] = ()
    load_users: int = 4
    load_s: float = 2.0
    minutes: int = HOUR_MIN
    seed: int | None = None
    env_file: Path | None = None
    commits: tuple[str, str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    proof: Path | None = None

    @property
    def expected(self) -> dict[str, tuple[str, ...]]:
        """The ids that each part owes, in the order in which the parts run."""
        from harness import load, monitor, rollback, smoke

        return {
            "migration": (MIGRATION_ID,),
            "gate": tuple(item.id for item in self.checks if "logs" not in item.facts),
            "smoke": tuple(smoke.expected_ids()),
            "load": tuple(load.expected_ids()),
            "watch": tuple(monitor.expected_ids()),
            "scenarios": self.scenario_ids,
            "rollback": tuple(rollback.expected_ids()),
            # Last: what was logged is only complete when nothing runs any more.
            "logs": tuple(item.id for item in self.checks if "logs" in item.facts),
        }


def plan(
    *,
    out: Path,
    database: str,
    release: Mapping[str, Any],
    features: Path | None = None,
    tags: Sequence[str] = (),
    env_file: Path | None = None,
    commits: str = "",
    load_s: float = 2.0,
    minutes: int = HOUR_MIN,
    seed: int | None = None,
    environment: Mapping[str, str] | None = None,
    plans: Callable[[str], bool] = lambda _: True,
    proof: Path | None = None,
) -> Plan:
    """Raises UsageError for what can be known to be wrong before anything runs: an unknown tag, a directory that is in use.

    `plans` says which checks the policy asks.
    """
    from harness.scenarios import FEATURES, asked_for, read_features, select

    if (out / JOURNAL).exists():
        raise UsageError(f"{out} holds the journal of another run; choose a new directory with --out")
    first, dots, last = commits.partition("..")
    if commits and not (first and dots and last):
        raise UsageError(f"--commits {commits!r} is not of the form FIRST..LAST")
    tags = asked_for(tags, own=features is not None)
    scenarios = select(read_features(features or FEATURES), tags)
    return Plan(
        out=out,
        database=database,
        release=release,
        checks=tuple(item for item in registry(Kind.CHECK).load("gate.checks") if plans(item.id)),
        scenario_ids=tuple(dict.fromkeys(scenario.id for scenario in scenarios)),
        features=features,
        tags=tuple(tags),
        env_file=env_file,
        commits=(first, last) if commits else None,
        load_s=load_s,
        minutes=minutes,
        seed=seed,
        environment=environment or {},
        proof=proof,
    )


def rehearse(plan: Plan, listener: Listener) -> Path:
    """Runs all parts and returns the path of the journal, which tells how it went.

    Raises JournalError when nothing can be recorded.
    """
    from harness.beside import PARTS
    from harness.flow import observe
    from harness.reference import preload, start, subject
    from harness.release_gate import subject_of

    expected = plan.expected
    masker = Masker()
    journal = Journal.create(
        plan.out / JOURNAL,
        release=plan.release,
        expected=[outcome_id for ids in expected.values() for outcome_id in ids],
        masker=masker,
    )
    run = Run(plan=plan, journal=journal, listener=listener, masker=masker, expected=expected)
    journal.fact("environment", _environment(plan))
    with contextlib.ExitStack() as stack:
        # The backend's libraries take longer to import than a database takes to start.
        threading.Thread(target=preload, name="preload", daemon=True).start()
        try:
            database = stack.enter_context(open_database(plan.database))
        except DatastoreError as error:
            return run.all_unanswered(f"there is no database: {error}")
        journal.fact("environment", _environment(plan, database))
        listener.note(f"database: {database.backend} {database.server_version} ({database.origin})")
        _migrate(run, database)
        try:
            system = stack.enter_context(start(database=database, workdir=plan.out, seed=plan.seed, environment=plan.environment))
        except GateError as error:
            return run.all_unanswered(f"the fake Evolution API did not start: {error}")
        masker.learn(system.secrets.values())
        journal.fact("package", _package(subject(database).source_roots))
        facts = Facts(providers(replace(subject_of(database, system, env_file=plan.env_file), journals=proof(run))))
        # They run in processes of their own while the backend starts.
        facts.prefetch(OWN_PROCESS_FACTS)
        beside = stack.enter_context(contextlib.ExitStack())
        others = [beside.enter_context(_beside(run, name, database, system.secrets)) for name in PARTS]
        with contextlib.ExitStack() as serving:
            try:
                target = serving.enter_context(system.current())
            except (GateError, OSError) as error:
                # Only one of us may answer for its parts.
                beside.close()
                _gate(run, facts)
                return run.all_unanswered(f"the backend did not start: {error}")
            journal.fact("target", {"url": target.url, "evolution": "fake"})
            facts.provide("flow", lambda: observe(target, system.pace, system.evolution))
            _gate(run, facts)
            _smoke(run, target, system)
            _load(run, target)
            _watch(run, target, system, database)
        for other in others:
            _follow(run, other)
        _logs(run, database, system, others)
    return journal.path


@dataclass(slots=True, kw_only=True)
class Run:
    """What the parts share."""

    plan: Plan
    journal: Journal
    listener: Listener
    masker: Masker
    expected: Mapping[str, tuple[str, ...]]

    def note(self, outcome: Outcome) -> None:
        self.journal.append(outcome)
        self.listener.outcome(outcome)

    def answered(self) -> set[str]:
        return {outcome.id for outcome in read(self.journal.path).outcomes}

    @contextlib.contextmanager
    def part(self, name: str, title: str) -> Iterator[None]:
        """Runs a part; what keeps it from answering becomes an ERROR under every id that it still owes."""
        self.listener.part(title, len(self.expected[name]))
        try:
            yield
        except (GateError, OSError) as error:
            self.unanswered(name, str(error))
        else:
            self.unanswered(name, "the part ended without answering this")

    def unanswered(self, name: str, reason: str) -> None:
        owed = [outcome_id for outcome_id in self.expected[name] if outcome_id not in self.answered()]
        if owed:
            with self.journal.part(f"{name}, unanswered", expected=owed):
                for outcome_id in owed:
                    self.note(_error(outcome_id, self.masker.text(reason)))

    def all_unanswered(self, reason: str) -> Path:
        self.listener.note(self.masker.text(reason))
        for name in self.expected:
            self.unanswered(name, reason)
        return self.journal.path


def proof(run: Run) -> Journals | None:
    """Where the proof of the scenarios is; its matrix goes into this journal, for the report."""
    from harness.proof.backends import MATRIX
    from harness.record import proof_ids

    plan = run.plan
    if plan.proof is None:
        return None
    path = plan.proof / JOURNAL if plan.proof.is_dir() else plan.proof
    with contextlib.suppress(JournalError):
        matrix = read(path).facts.get(MATRIX)
        if matrix is not None:
            run.journal.fact(MATRIX, matrix)
    return Journals(
        paths={"proof": path},
        pinned=lambda: {"proof": proof_ids()},
        commit=str(plan.release.get("commit", "")),
        asked=frozenset({"proof"}),
    )


def _migrate(run: Run, database: Database) -> None:
    from harness.reference import migrate

    with run.part("migration", "Migration"), run.journal.part("migration", expected=[MIGRATION_ID]):
        began = time.monotonic()
        try:
            report = migrate(database.url)
        except GateError as error:
            run.note(_failure(MIGRATION_ID, str(error)))
            return
        run.journal.fact(
            "migration",
            {
                "statements": [{"statement": title, "duration_s": round(seconds, 4)} for title, seconds in report.statements],
                "notices": list(report.notices),
            },
        )
        run.note(
            Outcome(
                id=MIGRATION_ID,
                status=Status.PASS,
                severity=Severity.CRITICAL,
                title="The migration was applied and verified itself",
                evidence=(
                    Evidence(label="statements run", value=len(report.statements)),
                    Evidence(label="its last word", value=report.notices[-1] if report.notices else "verified by definition"),
                ),
                duration_s=time.monotonic() - began,
                observed_at=datetime.now(UTC),
            )
        )


def _gate(run: Run, facts: Facts) -> None:
    from harness.record import bind_catalog

    with run.part("gate", "Release gate"), run.journal.part("gate", expected=run.expected["gate"]):
        checks = [item for item in run.plan.checks if item.id in run.expected["gate"]]
        outcomes = run_checks(checks, facts, on_outcome=run.note, masker=run.masker)
        with contextlib.suppress(GateError):
            bind_catalog(run.journal, facts.get("catalog"))
        run.journal.fact(
            "not_applicable",
            [{"id": outcome.id, "reason": outcome.reason} for outcome in outcomes if outcome.status is Status.SKIP],
        )


@contextlib.contextmanager
def _beside(run: Run, name: str, database: Database, secrets: Mapping[str, str]) -> Iterator[Beside | None]:
    """The process of one part; None, and an ERROR under every id of the part, when it cannot be started."""
    from harness.beside import beside

    with contextlib.ExitStack() as stack:
        try:
            other = stack.enter_context(beside(name, run.plan, run.journal, database, secrets=secrets))
        except (GateError, OSError) as error:
            run.unanswered(name, f"the part could not be started: {error}")
            yield None
        else:
            yield other


def _follow(run: Run, other: Beside | None) -> None:
    from harness.beside import PARTS

    if other is None:
        return
    with run.part(other.part, PARTS[other.part]):
        other.follow(run.expected[other.part], run.listener)


def _logs(run: Run, database: Database, system: ReferenceSystem, others: Iterable[Beside | None]) -> None:
    """Looks for leaks in everything that every backend logged during the whole rehearsal."""
    from harness.release_gate import subject_of

    with run.part("logs", "Logs"), run.journal.part("logs", expected=run.expected["logs"]):
        checks = [item for item in run.plan.checks if item.id in run.expected["logs"]]
        seen = subject_of(database, system)
        seen = replace(seen, logs=(*seen.logs, *(other.backend_log for other in others if other is not None)))
        run_checks(checks, Facts(providers(seen)), on_outcome=run.note, masker=run.masker)


def scenarios(run: Run, target: Target) -> None:
    """Runs the scenarios against `target`."""
    from harness.scenarios import run as run_scenarios

    with run.part("scenarios", "Scenarios"):
        run_scenarios(
            target,
            run.journal,
            log=run.plan.out / "scenarios.log",
            tags=run.plan.tags,
            features=run.plan.features,
            on_progress=run.listener.outcome,
        )


def connect_a_unit(target: Target, system: ReferenceSystem) -> None:
    """Gives the target a unit whose WhatsApp is connected, as the first deployment of a release has."""
    from harness.targets import connect

    connect(target, system.pace, make_unit(target, system.pace))


def _smoke(run: Run, target: Target, system: ReferenceSystem) -> None:
    from harness.smoke.walk import run as run_smoke

    with run.part("smoke", "Smoke test"):
        make_unit(target, system.pace)
        run_smoke(
            target,
            system.pace,
            recipient=RECIPIENTS[0],
            unit=UNIT_SLUG,
            journal=run.journal,
            on_outcome=run.listener.outcome,
        )


def _load(run: Run, target: Target) -> None:
    from harness.load.run import Thresholds, Traffic
    from harness.load.run import run as run_load

    with run.part("load", "Load"):
        run_load(
            target,
            Traffic(users=run.plan.load_users, duration_s=run.plan.load_s, recipients=RECIPIENTS),
            thresholds=Thresholds(p95_ms=P95_MS, requests=10),
            journal=run.journal,
            workdir=run.plan.out / "load",
            on_outcome=run.listener.outcome,
        )


def _watch(run: Run, target: Target, system: ReferenceSystem, database: Database) -> None:
    from harness.monitor.watch import run as run_watch

    with run.part("watch", "First hour"):
        # Units that the scenarios left unscanned would show a new code every 45 seconds of the hour.
        system.evolution.whatsapp(qr_lifetime=2.0 * 60 * HOUR_MIN)
        outcomes = run_watch(
            target,
            system.pace,
            journal=run.journal,
            minutes=run.plan.minutes,
            recipients=RECIPIENTS,
            database_url=database.url if database.backend == "postgresql" else "",
            secrets=system.secrets.values(),
            control=system.evolution,
            on_note=run.listener.note,
        )
        for outcome in outcomes:
            run.listener.outcome(outcome)


def rollback(run: Run, system: ReferenceSystem, database: Database) -> None:
    """Puts the previous release back in place of this one, and this one again."""
    from harness.load.run import Thresholds, Traffic
    from harness.rollback.revert import Release
    from harness.rollback.run import run as run_rollback

    commits, tag = run.plan.commits, f"failed-{run.plan.release.get('version') or 'release'}"
    with run.part("rollback", "Rollback"):
        run_rollback(
            journal=run.journal,
            current=system.current,
            previous=system.previous if database.backend == "postgresql" else None,
            no_previous="SQLite in memory ends with the process that serves it, so no other release can take it over",
            pace=system.pace,
            recipient=RECIPIENTS[0],
            workdir=run.plan.out / "rollback",
            release=Release(repository=Path.cwd(), first=commits[0], last=commits[1], tag=tag) if commits else None,
            no_release="no commits of the release were given (--commits FIRST..LAST)",
            traffic=Traffic(users=2, duration_s=1.0, recipients=RECIPIENTS[:1]),
            thresholds=Thresholds(p95_ms=P95_MS, requests=10),
            secrets=tuple(system.secrets.values()),
            on_outcome=run.listener.outcome,
        )


def _error(outcome_id: str, reason: str) -> Outcome:
    return Outcome(id=outcome_id, status=Status.ERROR, reason=reason or "no reason was given", observed_at=datetime.now(UTC))


def _failure(outcome_id: str, reason: str) -> Outcome:
    return Outcome(id=outcome_id, status=Status.FAIL, severity=Severity.CRITICAL, reason=reason, observed_at=datetime.now(UTC))


def _environment(plan: Plan, database: Database | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "golive_version": _golive_version(),
        "commit": plan.release.get("commit", ""),
    }
    if database is not None:
        found["database"] = database_fact(database)
    return found


def database_fact(database: Database) -> dict[str, str]:
    """Which database was used, for the journal; never its URL."""
    return {"backend": database.backend, "origin": database.origin, "server_version": database.server_version}


def _package(roots: Iterable[Path]) -> list[dict[str, Any]]:
    """Each file of the release with its size and digest, tests and caches apart."""
    found = []
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.is_file() and not {"tests", "__pycache__"} & set(path.relative_to(root).parts):
                content = path.read_bytes()
                found.append(
                    {
                        "path": str(path.relative_to(root.parent)),
                        "sha256": hashlib.sha256(content).hexdigest(),
                        "bytes": len(content),
                        "lines": content.count(b"\n"),
                    }
                )
    return found


def release_of(directory: Path, *, name: str = "", version: str = "") -> dict[str, Any]:
    """What is being released: from git where `directory` is in a repository, else from what is installed."""
    commit, dirty = "", False
    with contextlib.suppress(GateError):
        commit = git(directory, "rev-parse", "--verify", "HEAD").decode().strip()
        # What cannot be told is not clean.
        dirty = True
        dirty = bool(git(directory, "status", "--porcelain").strip())
    return {
        "name": name or "reference backend",
        "version": version or _golive_version(),
        "commit": commit,
        "dirty": dirty,
    }


def _golive_version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version("golive")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
