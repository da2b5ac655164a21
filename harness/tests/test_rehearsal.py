"""A whole rehearsal, for real; and that whatever is planted in it ends NO-GO or HOLD with the cause in the last lines."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from gate import policy
from gate.facts.providers import providers
from gate.journal import Journal, read
from gate.masking import Masker
from gate.model import Evidence, Outcome, Status
from gate.registry import Kind, registry
from gate.runner import Facts
from gate.runner import run as run_checks
from harness import rehearsal
from harness.datastores import Database, open_database
from harness.record import proof_ids
from harness.release_gate import NO_DATABASE, subject_of
from harness.scenarios import FEATURES
from harness.tests.running import Finished, golive

pytestmark = pytest.mark.process

DOCUMENTS = (
    "GOLIVE_EXECUTIVE_SUMMARY.md",
    "GOLIVE_DEPLOYMENT_GUIDE.md",
    "GOLIVE_MONITORING_RUNBOOK.md",
    "GOLIVE_ORCHESTRATION_REPORT.md",
    "RELEASE_GATE_RESULTS.md",
    "EVOLUTION_INTEGRATION_SUMMARY.md",
)


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """An empty database of its own on the test server."""
    with open_database(postgres_url) as server, server.throwaway() as empty:
        yield empty


def execute(database: Database, *statements: str) -> None:
    engine = sa.create_engine(database.url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def last_lines(done: Finished, count: int = 12) -> str:
    return "\n".join(done.output.rstrip("\n").splitlines()[-count:])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Path]:
    """One rehearsal on embedded defaults, looked at by several tests."""
    directory = tmp_path_factory.mktemp("whole")
    return golive("rehearse", "--out", directory / "run", cwd=directory), directory / "run"


@pytest.mark.postgres
def test_a_rehearsal_on_embedded_defaults_ends_with_go_and_names_the_report(whole: tuple[Finished, Path]) -> None:
    done, run = whole
    assert (done.status, done.last_line) == (0, "GO"), done.output + done.errors
    assert f"Report: {run / 'report.html'}" in done.output
    assert (run / "report.html").stat().st_size > 10_000
    assert {path.name for path in run.glob("*.md")} == set(DOCUMENTS)
    assert json.loads((run / "verdict.json").read_text())["decision"] == "GO"


@pytest.mark.postgres
def test_every_planned_id_was_answered_once_with_evidence(whole: tuple[Finished, Path]) -> None:
    recording = read(whole[1] / "journal.jsonl")
    assert recording.damage == ()
    ids = [outcome.id for outcome in recording.outcomes]
    assert sorted(ids) == sorted(set(ids))
    assert set(ids) == recording.planned
    assert {outcome.status for outcome in recording.outcomes} <= {Status.PASS, Status.SKIP}
    assert recording.facts["environment"]["database"]["backend"] == "postgresql"


@pytest.mark.postgres
def test_the_gates_deleted_outcomes_are_not_measured_in_the_report_and_hold(whole: tuple[Finished, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    lines = (whole[1] / "journal.jsonl").read_text().splitlines(keepends=True)
    kept = [
        line for line in lines if not ('"kind":"outcome"' in line and re.search(r'"id":"(schema|datastore|imports|flow)\.', line))
    ]
    assert len(kept) <= len(lines) - 23
    (run / "journal.jsonl").write_text("".join(kept))
    assert golive("report", run, cwd=tmp_path).status == 0
    results = (run / "RELEASE_GATE_RESULTS.md").read_text()
    assert results.count("not measured") >= 23
    judged = golive("judge", run, cwd=tmp_path)
    assert (judged.status, judged.last_line) == (3, "HOLD")
    assert "schema.campaigns" in judged.output


@pytest.mark.postgres
def test_a_journal_cut_in_the_middle_is_named(whole: tuple[Finished, Path], tmp_path: Path) -> None:
    content = (whole[1] / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(content[: len(content) // 2])
    judged = golive("judge", tmp_path, cwd=tmp_path)
    assert (judged.status, judged.last_line) == (3, "HOLD")
    assert "journal.whole" in judged.output
    assert "is cut" in judged.output


@pytest.mark.postgres
def test_no_secret_and_no_phone_is_in_anything_that_was_written(whole: tuple[Finished, Path]) -> None:
    done, run = whole
    written = {path.name: path.read_text(errors="replace") for path in run.rglob("*") if path.is_file()}
    assert len(written) > 9
    for name, text in {**written, "output": done.output, "errors": done.errors}.items():
        for number in rehearsal.RECIPIENTS:
            assert number not in text, name
        assert not re.search(r"eyJ[\w-]{8,}\.[\w-]{8,}\.", text), name
        assert not re.search(r"://[^\s:/@]+:(?!\*|\[MASKED)[^\s@/\"]+@", text), name


@pytest.mark.postgres
def test_a_rehearsal_on_a_given_postgres_reads_its_schema_from_there(database: Database, tmp_path: Path) -> None:
    done = golive("rehearse", "--out", tmp_path / "run", "--database", database.url, cwd=tmp_path)
    assert (done.status, done.last_line) == (0, "GO"), done.output + done.errors
    engine = sa.create_engine(database.url)
    assert "campaign_recipients" in sa.inspect(engine).get_table_names()
    engine.dispose()
    outcomes = {outcome.id: outcome for outcome in read(tmp_path / "run" / "journal.jsonl").outcomes}
    assert outcomes["schema.messages-retry-count"].status is Status.PASS


def test_a_rehearsal_on_sqlite_says_what_it_could_not_answer(tmp_path: Path) -> None:
    done = golive("rehearse", "--out", tmp_path / "run", "--database", "memory", cwd=tmp_path)
    assert (done.status, done.last_line) == (0, "GO"), done.output + done.errors
    assert "watch.database-locks: skip" in done.output
    assert "SQLite" in (tmp_path / "run" / "GOLIVE_EXECUTIVE_SUMMARY.md").read_text()
    held = golive("judge", tmp_path / "run", "--policy", "release", cwd=tmp_path)
    assert (held.status, held.last_line) == (3, "HOLD")


PLANTED = {
    "a dropped column": ("ALTER TABLE messages DROP COLUMN error_details", "schema.messages-error-details"),
    "a wrong type": ("ALTER TABLE messages ALTER COLUMN error_details TYPE varchar(10)", "schema.messages-error-details"),
    "an idempotency index that is not unique": (
        (
            "DROP INDEX idx_messages_client_message_id_unit; CREATE INDEX idx_messages_client_message_id_unit ON messages "
            "(conversation_id, client_message_id) WHERE client_message_id IS NOT NULL"
        ),
        "schema.idempotency-index",
    ),
}


@pytest.mark.postgres
@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_fault_of_the_schema_is_no_go_with_its_cause(planted: str, database: Database, tmp_path: Path) -> None:
    statements, culprit = PLANTED[planted]
    assert golive("backend", "migrate", "--database", database.url, cwd=tmp_path).status == 0
    execute(database, *statements.split("; "))
    done = golive("gate", "--select", "schema", "--database", database.url, cwd=tmp_path)
    assert (done.status, done.last_line) == (1, "NO-GO"), done.output
    assert culprit in last_lines(done)


@pytest.mark.postgres
def test_a_wrong_type_stops_the_migration_and_the_rehearsal(database: Database, tmp_path: Path) -> None:
    assert golive("backend", "migrate", "--database", database.url, cwd=tmp_path).status == 0
    execute(database, "ALTER TABLE messages ALTER COLUMN error_details TYPE varchar(10)")
    done = golive("rehearse", "--out", tmp_path / "run", "--minutes", "5", "--database", database.url, cwd=tmp_path)
    assert (done.status, done.last_line) == (1, "NO-GO"), done.output
    assert "migration.applied" in done.output
    assert "error_details" in done.output


@pytest.mark.postgres
def test_an_empty_database_is_never_go(database: Database, tmp_path: Path) -> None:
    done = golive("gate", "--database", database.url, cwd=tmp_path)
    assert done.status in (1, 3), done.output
    assert done.last_line in ("NO-GO", "HOLD")
    assert "schema.not-empty" in done.output


@pytest.mark.parametrize("command", ["gate", "rehearse"])
def test_an_unreachable_database_is_never_go_and_is_told_without_its_password(command: str, tmp_path: Path) -> None:
    url = "postgresql://golive:canary-password@127.0.0.1:1/none"
    done = golive(command, "--out", tmp_path / "run", "--database", url, cwd=tmp_path)
    assert (done.status, done.last_line) == (3, "HOLD"), done.output
    assert "127.0.0.1:1" in last_lines(done)
    assert "canary-password" not in done.output + done.errors
    assert "canary-password" not in (tmp_path / "run" / "journal.jsonl").read_text()


def short_plan(tmp_path: Path, features: Path | None = None) -> rehearsal.Plan:
    """A rehearsal on SQLite with one scenario and a watch of five minutes."""
    return rehearsal.plan(
        out=tmp_path / "run",
        database="memory",
        release={"name": "planted"},
        features=features,
        tags=["@id:unknown-instance-tolerated"],
        minutes=5,
    )


class _Silent:
    """A listener that shows nothing."""

    def part(self, title: str, expected: int) -> None:
        pass

    def outcome(self, outcome: Outcome) -> None:
        pass

    def note(self, text: str) -> None:
        pass


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """A copy of the scenarios that somebody is about to get wrong."""
    copy = tmp_path / "features"
    for path in FEATURES.rglob("*.feature"):
        target = copy / path.relative_to(FEATURES)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return copy


def test_a_failing_scenario_is_no_go_with_what_was_expected_and_seen(features: Path, tmp_path: Path) -> None:
    path = features / "webhooks" / "refusals.feature"
    path.write_text(path.read_text().replace('the warning "unknown_instance"', 'the warning "well_known_instance"'))
    rehearsal.rehearse(short_plan(tmp_path, features), _Silent())
    judged = golive("judge", tmp_path / "run", cwd=tmp_path)
    assert (judged.status, judged.last_line) == (1, "NO-GO"), judged.output
    assert "scenario.unknown-instance-tolerated" in last_lines(judged)
    assert "well_known_instance" in last_lines(judged)


def test_a_scenario_file_that_no_test_binds_holds_and_is_named(features: Path, tmp_path: Path) -> None:
    (features / ".later").mkdir()
    text = (features / "webhooks" / "refusals.feature").read_text()
    (features / ".later" / "forgotten.feature").write_text(
        text.replace("@id:", "@id:later-").replace("Scenario: ", "Scenario: Later ")
    )
    rehearsal.rehearse(short_plan(tmp_path, features), _Silent())
    judged = golive("judge", tmp_path / "run", cwd=tmp_path)
    assert (judged.status, judged.last_line) == (3, "HOLD"), judged.output
    assert "forgotten.feature" in judged.output


class _Planter(_Silent):
    """Writes an unmasked secret into the backend's log while the rehearsal runs."""

    def __init__(self, log: Path, line: str) -> None:
        self._log = log
        self._line = line

    def part(self, title: str, expected: int) -> None:
        if title == "Smoke test":
            with self._log.open("a") as file:
                file.write(self._line + "\n")


def test_an_unmasked_secret_in_the_backends_log_is_no_go(tmp_path: Path) -> None:
    plan = short_plan(tmp_path)
    line = json.dumps({"level": "info", "message": "login", "header": "Authorization: Bearer c2VjcmV0LXRva2VuLXZhbHVl"})
    rehearsal.rehearse(plan, _Planter(tmp_path / "run" / "backend.log", line))
    judged = golive("judge", tmp_path / "run", cwd=tmp_path)
    assert (judged.status, judged.last_line) == (1, "NO-GO"), judged.output
    assert "secrets.backend-log" in judged.output
    assert "c2VjcmV0" not in judged.output


def test_the_proof_of_the_scenarios_is_looked_at_and_its_matrix_taken_along(tmp_path: Path) -> None:
    commit, matrix = "c0ffee" * 6 + "c0de", {"chaff a": {"title": "A bug", "end": "killed", "found": {"scenario.a": "fail"}}}
    ids = sorted(proof_ids())
    assert {"proof.sound", "proof.chaffs-killed", "proof.wheats-passed"} < set(ids)
    at = datetime.now(UTC)
    proof = Journal.create(tmp_path / "proof" / "journal.jsonl", release={"commit": commit})
    with proof.part("proof", expected=ids):
        for item in ids:
            evidence = (Evidence(label="scenarios that ran", value=1),)
            proof.append(Outcome(id=item, status=Status.PASS, evidence=evidence, observed_at=at))
        proof.fact("proof.matrix", matrix)

    def looked_at(commit: str) -> Outcome:
        plan = rehearsal.plan(out=tmp_path / commit, database="memory", release={"commit": commit}, proof=tmp_path / "proof")
        journal = Journal.create(tmp_path / commit / "journal.jsonl", release=plan.release)
        run = rehearsal.Run(plan=plan, journal=journal, listener=Silent(), masker=Masker(), expected=plan.expected)
        subject = replace(subject_of(NO_DATABASE), journals=rehearsal.proof(run))
        (outcome,) = run_checks([registry(Kind.CHECK).get("proof.scenarios-can-fail")], Facts(providers(subject)))
        assert read(journal.path).facts["proof.matrix"] == matrix
        return outcome

    assert looked_at(commit).status is Status.PASS
    other = looked_at("f00d" * 10)
    assert (other.status, other.reason) == (
        Status.FAIL,
        "the journal of proof is of commit c0ffeec0ffee, expected f00df00df00d",
    )
    release = policy.load("release")
    assert release.requires(other.id)
    assert not release.allows_skip(other.id)
    assert policy.load("rehearsal").allows_skip(other.id)


class Silent:
    def part(self, *_: object) -> None: ...

    def outcome(self, *_: object) -> None: ...

    def note(self, *_: object) -> None: ...
